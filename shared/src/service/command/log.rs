//! The command `log`: what a node has logged, and goes on to log.

use std::sync::Arc;

use tracing::Level;

use crate::limits::LOG_SHOWN;
use crate::log::{Category, Entry, Journal, KEPT, News};
use crate::service::command::{Call, Commands, Status, param};

const OPTIONS: &str = "-f or --follow: goes on until interrupted; -n COUNT: so many recent ones; --level LEVEL \
    and --category CATEGORY: no others; --json: as JSON, one a line";

/// Registers it, for what this journal holds of the commands' node.
pub(super) fn register(commands: &Commands, journal: Arc<Journal>) {
    commands.register(
        "log",
        "what the node tells of its work",
        param::text("OPTION", OPTIONS).optional().rest(),
        move |call, options| log(call, options, Arc::clone(&journal)),
    );
}

async fn log(call: Call, options: Vec<String>, journal: Arc<Journal>) -> Status {
    if call.caller.is_some() && !call.node().shows_log() {
        let text = "this node's log is for its own user only";
        return call.end(Status::FORBIDDEN, text);
    }
    let wish = match Wish::read(options) {
        Ok(wish) => wish,
        Err(usage) => return call.end(Status::USAGE, usage),
    };
    let own = call.node().id().short();
    let is_shown = |entry: &&Arc<Entry>| wish.wants(entry, &own);
    let mut reader = journal.reader();
    let recent = reader.take().entries;
    let shown: Vec<_> = recent.iter().filter(is_shown).collect();
    for entry in &shown[shown.len().saturating_sub(wish.count)..] {
        call.out.write(&wish.line(entry));
    }
    if !wish.follow {
        return Status::OK;
    }
    loop {
        let News { missed, entries } = reader.next().await;
        if missed > 0 {
            call.out.write(&wish.gap(missed, &entries));
        }
        for entry in entries.iter().filter(is_shown) {
            call.out.write(&wish.line(entry));
        }
    }
}

/// What is to be shown, and how.
struct Wish {
    follow: bool,
    count: usize,
    level: Level,
    category: Option<Category>,
    json: bool,
}

impl Wish {
    fn read(options: Vec<String>) -> Result<Self, String> {
        let mut wish = Self {
            follow: false,
            count: LOG_SHOWN,
            level: KEPT,
            category: None,
            json: false,
        };
        // `--level warn` may be `--level=warn`.
        let mut words = options.iter().flat_map(|option| match option {
            option if option.starts_with("--") => option.splitn(2, '=').collect(),
            option => vec![option.as_str()],
        });
        while let Some(option) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| format!("{option}: expected more"))
            };
            match option {
                "-f" | "--follow" => wish.follow = true,
                "--json" => wish.json = true,
                "-n" => {
                    let count = value()?;
                    let wrong = |_| format!("-n: expected how many, got `{count}`");
                    wish.count = count.parse().map_err(wrong)?;
                }
                "--level" => wish.level = level(value()?)?,
                "--category" => {
                    let category = value()?.parse();
                    wish.category =
                        Some(category.map_err(|expected| format!("--category: {expected}"))?);
                }
                other => {
                    return Err(format!(
                        "expected an option of `help log`, got `{other}`; another node's log is `log @NODE`"
                    ));
                }
            }
        }
        Ok(wish)
    }

    fn wants(&self, entry: &Entry, own: &str) -> bool {
        let of_node = entry.node.as_deref().is_none_or(|node| node == own);
        let category = self
            .category
            .is_none_or(|category| entry.category == Some(category));
        of_node && category && entry.level <= self.level
    }

    fn line(&self, entry: &Entry) -> String {
        match self.json {
            true => entry.to_json() + "\n",
            false => format!("{entry}\n"),
        }
    }

    /// In place of those that were dropped before this reader could take them.
    fn gap(&self, missed: u64, next: &[Arc<Entry>]) -> String {
        self.line(&Entry {
            time_ms: next.first().map_or(0, |next| next.time_ms),
            level: Level::WARN,
            category: Some(Category::Error),
            target: crate::log::ERROR,
            node: None,
            message: String::from("events were dropped before they could be shown"),
            fields: vec![("dropped", crate::log::Value::Number(missed as f64))],
        })
    }
}

fn level(text: &str) -> Result<Level, String> {
    let known = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG];
    let is_it = |level: &Level| level.as_str().eq_ignore_ascii_case(text);
    known
        .into_iter()
        .find(is_it)
        .ok_or_else(|| format!("--level: expected error, warn, info or debug, got `{text}`"))
}
