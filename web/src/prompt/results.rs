//! Lines that were run, and what comes of them, as it comes.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::Failure;
use peerage::service::command::{Commands, News, Run, Status, Table};

/// Lines whose results are kept.
const ENTRIES_MAX: usize = 200;
/// Bytes of one line's output that are shown: the last ones.
const SHOWN_BYTES_MAX: usize = 256 * 1024;
const ELEMENT: &str = "results";

/// The lines that were run.
#[derive(Clone, Copy)]
pub(crate) struct Results {
    entries: RwSignal<Vec<Entry>>,
}

/// A line that was run.
#[derive(Clone, Copy)]
struct Entry {
    id: usize,
    line: StoredValue<String>,
    output: RwSignal<String>,
    ended: RwSignal<Option<Ended>>,
    /// Interrupts it.
    stop: StoredValue<Option<oneshot::Sender<()>>>,
}

/// How a line ended: a failure has no status.
type Ended = Result<Status, ()>;

impl Results {
    pub(crate) fn new() -> Self {
        Self {
            entries: RwSignal::default(),
        }
    }

    /// Whether no line was run yet.
    pub(crate) fn is_empty(self) -> bool {
        self.entries.with(Vec::is_empty)
    }

    /// Runs a line; its output appears under it.
    pub(crate) fn run(self, commands: &Commands, line: &str) {
        let (stop, stopped) = oneshot::channel();
        let entry = self.add(line, stop);
        scroll_down();
        let run = match commands.start(line, None) {
            Ok(run) => run,
            Err(failure) => return entry.fail(&failure),
        };
        spawn_local(async move {
            let shown = core::pin::pin!(entry.show(run));
            if let Either::Right((Ok(()), _)) = select(shown, stopped).await {
                entry.write("interrupted");
                entry.ended.set(Some(Ok(Status::INTERRUPTED)));
                scroll_down();
            }
        });
    }

    /// Interrupts what was begun last and still runs; whether there is such a line.
    pub(crate) fn stop_last(self) -> bool {
        let running = self.entries.with_untracked(|all| {
            let mut backwards = all.iter().rev();
            backwards
                .find(|entry| entry.ended.with_untracked(Option::is_none))
                .copied()
        });
        running.inspect(|entry| entry.stop()).is_some()
    }

    fn add(self, line: &str, stop: oneshot::Sender<()>) -> Entry {
        let id = self
            .entries
            .with_untracked(|all| all.last().map_or(0, |last| last.id + 1));
        let entry = Entry {
            id,
            line: StoredValue::new(line.to_owned()),
            output: RwSignal::default(),
            ended: RwSignal::default(),
            stop: StoredValue::new(Some(stop)),
        };
        self.entries.update(|all| {
            all.push(entry);
            let surplus = all.len().saturating_sub(ENTRIES_MAX);
            all.drain(..surplus);
        });
        entry
    }
}

impl Entry {
    async fn show(self, mut run: Run) {
        let mut table = run.is_several().then(|| Table::new(&run));
        let mut status = Status::OK;
        while let Some(told) = run.next().await {
            match (&mut table, told.what) {
                (Some(table), what) => {
                    if matches!(&what, News::End(end) if *end != Ok(Status::OK)) {
                        status = Status::FAILED;
                    }
                    let target = told.target;
                    self.write(&table.tell(&peerage::service::command::Told { target, what }));
                }
                (None, News::Output(text)) => self.write(&text),
                (None, News::End(Ok(end))) => status = end,
                (None, News::End(Err(failure))) => return self.fail(&failure),
            }
            scroll_down();
        }
        self.ended.set(Some(Ok(status)));
        scroll_down();
    }

    fn write(self, text: &str) {
        self.output.update(|shown| {
            shown.push_str(text);
            let surplus = shown.len().saturating_sub(SHOWN_BYTES_MAX);
            shown.drain(..shown.ceil_char_boundary(surplus));
        });
    }

    fn fail(self, failure: &Failure) {
        self.write(&failure.in_words());
        self.ended.set(Some(Err(())));
        scroll_down();
    }

    fn stop(self) {
        if let Some(Some(stop)) = self.stop.try_update_value(Option::take) {
            // It may have ended meanwhile.
            let _ = stop.send(());
        }
    }
}

/// The lines with their results.
#[component]
pub(crate) fn Lines(results: Results, children: ChildrenFn) -> impl IntoView {
    view! {
        <div class="lines" id=ELEMENT role="log" aria-label="Results" tabindex="0">
            <Show when=move || results.is_empty()>{children()}</Show>
            <For each=move || results.entries.get() key=|entry| entry.id children=line />
        </div>
    }
}

fn line(entry: Entry) -> impl IntoView {
    let running = move || entry.ended.with(Option::is_none);
    let well = move || matches!(entry.ended.get(), None | Some(Ok(Status::OK)));
    let status = move || match entry.ended.get() {
        None => String::new(),
        Some(Ok(Status(number))) => number.to_string(),
        Some(Err(())) => String::from("-1"),
    };
    let testid = move || if running() { "running" } else { "result" };
    let output = move || match entry.output.get() {
        text if text.is_empty() && running() => String::from("…"),
        text => text,
    };
    let typed = entry.line.get_value();
    let label = format!("Stop {typed}");
    view! {
        <div class="line">
            <span class="soft">"› " {typed}</span>
            <Show when=running>
                <button class="stop" data-testid="stop" aria-label=label.clone() on:click=move |_| entry.stop()>"Stop"</button>
            </Show>
        </div>
        <pre class:bad=move || !well() data-testid=testid data-status=status>{output}</pre>
    }
}

/// Shows the newest line, once it is there.
pub(crate) fn scroll_down() {
    request_animation_frame(|| {
        if let Some(results) = document().get_element_by_id(ELEMENT) {
            results.set_scroll_top(results.scroll_height());
        }
    });
}
