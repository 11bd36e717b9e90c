//! The page: it joins the relay that served it, and shows the node.

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::Peer;
use peerage::service::command::Commands;
use wasm_bindgen::JsValue;

/// Lines of the log that are kept.
const LOG_LINES_MAX: usize = 200;

/// Shows the page.
pub(crate) fn mount() {
    mount_to_body(App);
}

/// A line that was typed, and what came of it.
#[derive(Clone)]
struct Entry {
    id: usize,
    line: String,
    result: RwSignal<Option<(i32, String)>>,
}

/// What the page shows of the node.
#[derive(Clone, Copy)]
struct Shown {
    commands: RwSignal<Option<Commands>>,
    name: RwSignal<String>,
    state: RwSignal<String>,
    peers: RwSignal<Vec<Peer>>,
    entries: RwSignal<Vec<Entry>>,
    log: RwSignal<Vec<String>>,
    typed: RwSignal<String>,
}

#[component]
fn App() -> impl IntoView {
    let shown = Shown {
        commands: RwSignal::new(None),
        name: RwSignal::new(String::new()),
        state: RwSignal::new(String::from("connecting")),
        peers: RwSignal::new(Vec::new()),
        entries: RwSignal::new(Vec::new()),
        log: RwSignal::new(Vec::new()),
        typed: RwSignal::new(String::new()),
    };
    peerage_wasm::log::watch(move |line| {
        let text = format!("{} {}: {}", line.level, line.target, line.text);
        // The node may be at work while it logs; the page looks afterwards.
        spawn_local(async move {
            shown.log.update(|log| {
                log.push(text);
                let surplus = log.len().saturating_sub(LOG_LINES_MAX);
                log.drain(..surplus);
            });
        });
    });
    spawn_local(join(shown));
    view! {
        <div class="console">
            <header>
                <h1>"Peerage"</h1>
                <strong data-testid="own-name">{shown.name}</strong>
                <span data-testid="state" role="status" class=move || format!("badge {}", shown.state.get())>
                    {shown.state}
                </span>
            </header>
            <Peers shown />
            <Prompt shown />
            <details>
                <summary>"Event log"</summary>
                <div class="lines" data-testid="log">
                    {move || shown.log.get().join("\n").lines().map(|l| view! { <div>{l.to_owned()}</div> }).collect_view()}
                </div>
            </details>
        </div>
    }
}

#[component]
fn Peers(shown: Shown) -> impl IntoView {
    let row = move |peer: Peer| {
        let name = peer.name.to_string();
        let target = format!(" @{name}");
        let path = peer.path.as_str();
        view! {
            <li data-testid=format!("peer-{name}") data-path=path>
                <button class="peer" on:click=move |_| shown.typed.update(|typed| *typed += &target)>
                    <span>{name.clone()} " " <small class="asked">{peer.kind.as_str()}</small></span>
                    <span class=format!("badge {path}")>{path}</span>
                </button>
            </li>
        }
    };
    view! {
        <section aria-labelledby="peers">
            <h2 id="peers">"Peers"</h2>
            <ul>{move || shown.peers.get().into_iter().map(row).collect_view()}</ul>
        </section>
    }
}

#[component]
fn Prompt(shown: Shown) -> impl IntoView {
    let back = RwSignal::new(0usize);
    let recall = move |step: isize| {
        let lines: Vec<_> = shown
            .entries
            .get_untracked()
            .into_iter()
            .map(|e| e.line)
            .collect();
        let at = back
            .get_untracked()
            .saturating_add_signed(step)
            .min(lines.len());
        back.set(at);
        shown.typed.set(
            lines
                .iter()
                .rev()
                .nth(at.wrapping_sub(1))
                .cloned()
                .unwrap_or_default(),
        );
    };
    let key = move |event: web_sys::KeyboardEvent| match event.key().as_str() {
        "Enter" => {
            back.set(0);
            run(shown);
        }
        "ArrowUp" => recall(1),
        "ArrowDown" => recall(-1),
        _ => {}
    };
    view! {
        <section aria-labelledby="commands">
            <h2 id="commands">"Commands"</h2>
            <div class="lines" aria-live="polite">
                <For each=move || shown.entries.get() key=|entry| entry.id children=result />
            </div>
            <label for="prompt">"Command, such as calc 1+2 @name"</label>
            <input id="prompt" data-testid="prompt" autocomplete="off" autofocus
                prop:value=shown.typed
                on:input=move |event| shown.typed.set(event_target_value(&event))
                on:keydown=key />
        </section>
    }
}

fn result(entry: Entry) -> impl IntoView {
    let outcome = entry.result;
    let shown = move || {
        outcome.get().map(|(status, output)| {
            let class = if status == 0 { "" } else { "bad" };
            view! { <pre class=class data-testid="result" data-status=status>{output}</pre> }
        })
    };
    view! { <div class="asked">"> " {entry.line}</div> {shown} }
}

/// Runs the line that is typed; its result comes under it whenever it comes.
fn run(shown: Shown) {
    let line = shown.typed.get_untracked().trim().to_owned();
    let Some(commands) = shown.commands.get_untracked().filter(|_| !line.is_empty()) else {
        return;
    };
    shown.typed.set(String::new());
    let result = RwSignal::new(None);
    let id = shown.entries.with_untracked(Vec::len);
    shown.entries.update(|entries| {
        entries.push(Entry {
            id,
            line: line.clone(),
            result,
        })
    });
    spawn_local(async move {
        result.set(Some(match commands.run(&line).await {
            Ok(outcome) => (i32::from(outcome.status.0), outcome.output),
            Err(failure) => (-1, failure.to_string()),
        }));
    });
}

/// Joins, and keeps what is shown true for as long as the node lives.
async fn join(shown: Shown) {
    let location = window().location();
    let host = location.host().unwrap_or_default();
    let scheme = if location.protocol().is_ok_and(|p| p == "https:") {
        "wss"
    } else {
        "ws"
    };
    let query = location.search().unwrap_or_default();
    let wish = web_sys::UrlSearchParams::new_with_str(&query)
        .ok()
        .and_then(|q| q.get("name"));
    let name = wish.unwrap_or_else(|| String::from("tab")).parse().ok();
    let relay = format!("{scheme}://{host}/mesh");
    let node = match peerage_wasm::Node::start(&relay, name, false).await {
        Ok(node) => node,
        Err(failure) => return shown.state.set(failure.to_string()),
    };
    // The window takes any property.
    let _ = js_sys::Reflect::set(&window(), &"peerage".into(), &JsValue::from(node.clone()));
    let commands = node.commands();
    shown.commands.set(Some(commands.clone()));
    let core = commands.node().clone();
    let mut events = core.events();
    loop {
        let name = core.name().map(|name| name.to_string()).unwrap_or_default();
        document().set_title(&format!("{name} · Peerage"));
        shown.name.set(name);
        shown.state.set(core.state().as_str().to_owned());
        shown.peers.set(core.peers());
        events.next().await;
    }
}
