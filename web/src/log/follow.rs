//! The log of another node, as it comes: lines of JSON that its command `log` writes.

use futures_util::StreamExt;
use js_sys::{JSON, Reflect};
use peerage::service::command::{Commands, News, Status};
use wasm_bindgen::JsValue;

use super::{Lines, push};
use crate::units::clock;

/// Keys of a line that are shown by themselves.
const KEYS: [&str; 5] = ["time", "level", "category", "node", "message"];

/// Shows what the node of this id has told lately and tells from now on, until its end.
pub(crate) async fn follow(commands: &Commands, id: &str, lines: Lines) {
    let mut run = match commands.start(&format!("log --follow --json @{id}"), None) {
        Ok(run) => run,
        Err(failure) => return end(lines, &failure.in_words()),
    };
    let mut text = String::new();
    while let Some(told) = run.next().await {
        match told.what {
            News::Output(more) => {
                text += &more;
                let whole = text.rfind('\n').map_or(0, |at| at + 1);
                let rest = text.split_off(whole);
                text.lines().for_each(|line| show(lines, line));
                text = rest;
            }
            // What it wrote last is why.
            News::End(Ok(Status::OK)) => return end(lines, "the log has ended"),
            News::End(Ok(_)) => return end(lines, &text),
            News::End(Err(failure)) => return end(lines, &failure.in_words()),
        }
    }
}

fn show(lines: Lines, line: &str) {
    let Ok(event) = JSON::parse(line) else {
        return end(lines, line);
    };
    let said = |key: &str| text(&event, key);
    let date = js_sys::Date::new(&JsValue::from(said("time")));
    let keys = Reflect::own_keys(&event).unwrap_or_default();
    let fields = keys.iter().filter_map(|key| key.as_string());
    let fields = fields.filter(|key| !KEYS.contains(&key.as_str()));
    let fields = fields.map(|key| format!(" {key}={}", said(&key)));
    let words = said("message") + fields.collect::<String>().as_str();
    push(
        lines,
        clock(date.get_time()),
        &said("level"),
        &said("category"),
        words,
    );
}

fn text(event: &JsValue, key: &str) -> String {
    let value = Reflect::get(event, &key.into()).unwrap_or_default();
    value.as_string().unwrap_or_else(|| {
        let text = JSON::stringify(&value).map(String::from);
        text.unwrap_or_default()
    })
}

/// There is no more to show, and this is why.
fn end(lines: Lines, why: &str) {
    let time = clock(js_sys::Date::now());
    push(lines, time, "WARN", "error", why.trim_end().to_owned());
}
