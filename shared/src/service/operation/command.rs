//! The commands `start` and `operations`: operations at a prompt.

use core::fmt::Write;

use super::client::{Operation, Options};
use super::wire::{Info, Progress};
use super::{Operations, Unsuccessful};
use crate::rpc::Parcel;
use crate::service::command::{Call, Commands, Status, param};

impl Operations {
    /// Lets them be started and listed by commands.
    pub fn register(&self, commands: &Commands) {
        let own = self.clone();
        let params = (
            param::text("NAME", "which operation"),
            param::line("VALUE", "what it is started with: JSON, or a text").optional(),
        );
        let help = "starts an operation, and tells how far it is until it has ended";
        commands.register_for_caller("start", help, params, move |call, (name, value)| {
            let own = own.clone();
            async move { start(&own, &call, &name, value).await }
        });
        let own = self.clone();
        let help = "what runs here, and what has ended lately";
        commands.register("operations", help, (), move |call, ()| {
            let caller = call.caller.unwrap_or_else(|| own.rpc().node().id());
            let list = own.list_for(caller);
            async move { call.end(Status::OK, table(&list)) }
        });
    }
}

async fn start(own: &Operations, call: &Call, name: &str, value: Option<String>) -> Status {
    if call.caller.is_some() {
        let text = "an operation is started by the node that wants it";
        return call.end(Status::FORBIDDEN, text);
    }
    let target = match &call.target {
        Some(target) => target.to_string(),
        None => own.rpc().node().id().to_string(),
    };
    let options = Options {
        lane: call.lane.as_deref().map(String::from),
        timeout: call.timeout,
        tracker: None,
    };
    let started = match read(value) {
        Ok(value) => own.start_with(&target, name, value, options),
        Err(unsuccessful) => return call.end(Status::USAGE, unsuccessful.to_string()),
    };
    // Who interrupts the command wants the operation no more.
    let mut operation = Interrupted(Some(started));
    while let Some(started) = &mut operation.0
        && let Some(progress) = started.progress().await
    {
        call.out.write(&format!("{}\n", in_words(&progress)));
    }
    let Some(ended) = operation.0.take() else {
        return Status::INTERRUPTED;
    };
    match ended.await {
        Ok(value) => call.end(Status::OK, shown(&value)),
        Err(error) => call.end(
            Status::FAILED,
            format!("{}: {}", error.end(), error.reason()),
        ),
    }
}

/// An operation that is cancelled when nobody waits for it any longer.
struct Interrupted(Option<Operation>);

impl Drop for Interrupted {
    fn drop(&mut self) {
        if let Some(operation) = &self.0 {
            operation.cancel("interrupted");
        }
    }
}

fn read(value: Option<String>) -> Result<Parcel, Unsuccessful> {
    let Some(text) = value else {
        return Ok(Parcel::default());
    };
    Ok(match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => Parcel::of(&value)?,
        Err(_) => Parcel::of(&text)?,
    })
}

fn shown(value: &Parcel) -> String {
    match value.read::<serde_json::Value>() {
        Ok(serde_json::Value::Null) => String::new(),
        Ok(serde_json::Value::String(text)) => text,
        Ok(json) => json.to_string(),
        Err(_) => String::from("a value that cannot be shown"),
    }
}

fn in_words(progress: &Progress) -> String {
    let remaining = progress.remaining.map(|left| left.as_secs_f64() * 1000.0);
    let mut words = far(progress.fraction, remaining);
    if let Some(note) = &progress.note {
        let _ = write!(words, " {note}");
    }
    words
}

/// How far something is, and how long it will take.
fn far(fraction: Option<f64>, remaining_ms: Option<f64>) -> String {
    let done = fraction.map_or_else(|| "   ?".into(), |done| format!("{:3.0}%", done * 100.0));
    match remaining_ms {
        Some(left) => format!("{done} {:.1} s left", left / 1000.0),
        None => done,
    }
}

fn table(list: &[Info]) -> String {
    let mut text = String::new();
    let width = list.iter().map(|info| info.name.chars().count()).max();
    let width = width.unwrap_or_default();
    for info in list {
        let seconds = info.age_ms / 1000.0;
        let (id, name, state) = (info.id, &info.name, &info.state);
        let _ = write!(text, "#{id} {name:width$} {state:7} {seconds:7.1} s ago");
        if info.ended_ms.is_none() {
            let _ = write!(text, " {}", far(info.fraction, info.remaining_ms));
        }
        let words = info.reason.as_ref().or(info.note.as_ref());
        if let Some(words) = words.filter(|words| !words.is_empty()) {
            let _ = write!(text, " {words}");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}
