//! The command `discover`: who is there, found by whatever method.

use std::time::{Duration, Instant};

use peerage::NodeId;
use peerage::limits::DISCOVERY_PATIENCE;
use peerage::service::command::{Call, Commands, Status, param};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::discovery::{Discovery, Entry, News};
use crate::link::address;

const OPTIONS: &str = "-f or --follow: goes on until interrupted; --json: as JSON, one a line; else the zone to be shown";

/// Registers it.
pub(crate) fn register(commands: &Commands, discovery: Discovery) {
    commands.register(
        "discover",
        "who is found on the local network, and by the records of a domain",
        param::text("OPTION", OPTIONS).optional().rest(),
        move |call, options| discover(call, options, discovery.clone()),
    );
}

/// What is to be shown, and how.
struct Wish {
    follow: bool,
    json: bool,
    zone: Option<String>,
}

async fn discover(call: Call, options: Vec<String>, discovery: Discovery) -> Status {
    if call.caller.is_some() && !discovery.settings().remote {
        let text = "whom this node discovers is for its own user only";
        return call.end(Status::FORBIDDEN, text);
    }
    let wish = match Wish::read(options) {
        Ok(wish) => wish,
        Err(usage) => return call.end(Status::USAGE, usage),
    };
    let mut news = discovery.news();
    let _browsing = discovery.browse();
    if wish.follow {
        for entry in discovery.entries() {
            call.out.write(&wish.news(&News::Found(entry)));
        }
        while let Some(news) = news.next().await {
            call.out.write(&wish.news(&news));
        }
        return Status::OK;
    }
    sleep(DISCOVERY_PATIENCE).await;
    let mut entries = discovery.entries();
    entries.retain(|entry| wish.wants(entry));
    if entries.is_empty() && !wish.json {
        return call.end(Status::OK, "nobody is found");
    }
    let uplink = call.node().uplink();
    call.end(Status::OK, wish.table(&entries, uplink))
}

impl Wish {
    fn read(options: Vec<String>) -> Result<Self, String> {
        let mut wish = Self {
            follow: false,
            json: false,
            zone: None,
        };
        for option in options {
            match option.as_str() {
                "-f" | "--follow" => wish.follow = true,
                "--json" => wish.json = true,
                other if other.starts_with('-') || wish.zone.is_some() => {
                    return Err(format!(
                        "expected an option of `help discover`, got `{other}`"
                    ));
                }
                _ => wish.zone = Some(option),
            }
        }
        Ok(wish)
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.zone.is_none() || self.zone == entry.zone
    }

    fn news(&self, news: &News) -> String {
        let entry = news.entry();
        match self.wants(entry) {
            true if self.json => format!("{}\n", json_of(entry, Some(news.as_str()), None)),
            true => format!("{:<8}{}\n", news.as_str(), columns(entry, None).join("  ")),
            false => String::new(),
        }
    }

    fn table(&self, entries: &[Entry], uplink: Option<NodeId>) -> String {
        if self.json {
            let lines = entries
                .iter()
                .map(|entry| json_of(entry, None, uplink).to_string());
            return lines.collect::<Vec<_>>().join("\n");
        }
        let head = [
            "NAME",
            "KIND",
            "ZONE",
            "ID",
            "METHOD",
            "STATE",
            "AGE",
            "ADDRESSES",
        ];
        let rows = entries.iter().map(|entry| columns(entry, uplink));
        aligned(std::iter::once(head.map(String::from)).chain(rows))
    }
}

/// Rows with columns of one width each, but the last.
pub(crate) fn aligned<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = |n: usize| {
        rows.iter()
            .map(|row| row[n].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn columns(entry: &Entry, uplink: Option<NodeId>) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| String::from("-"));
    let addresses: Vec<_> = entry.addresses.iter().map(address::show).collect();
    [
        or_dash(entry.name.as_ref().map(ToString::to_string)),
        or_dash(entry.kind.map(|kind| kind.to_string())),
        or_dash(entry.zone.clone()),
        or_dash(entry.id.as_ref().map(NodeId::short)),
        entry.method.as_str().to_owned(),
        state(entry, uplink).to_owned(),
        format!("{}s", age(entry).as_secs()),
        addresses.join(" "),
    ]
}

fn json_of(entry: &Entry, news: Option<&str>, uplink: Option<NodeId>) -> Value {
    let addresses: Vec<_> = entry.addresses.iter().map(address::show).collect();
    let mut json = json!({
        "name": entry.name.as_ref().map(ToString::to_string),
        "kind": entry.kind.map(|kind| kind.as_str()),
        "zone": entry.zone,
        "id": entry.id.map(|id| id.to_string()),
        "method": entry.method.as_str(),
        "state": state(entry, uplink),
        "ageMs": age(entry).as_millis() as u64,
        "addresses": addresses,
    });
    if let Some(news) = news {
        json["news"] = news.into();
    }
    json
}

/// How far it is to be believed.
fn state(entry: &Entry, uplink: Option<NodeId>) -> &'static str {
    match entry {
        Entry { is_false: true, .. } => "false",
        Entry { id: Some(id), .. } if Some(*id) == uplink => "linked",
        _ => "claimed",
    }
}

fn age(entry: &Entry) -> Duration {
    Instant::now().saturating_duration_since(entry.since)
}
