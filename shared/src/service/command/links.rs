//! The commands about a node's links: which there are, and how they come and go by hand. To change them is for the
//! node's own user; so are the addresses.

use core::fmt::Write;

use crate::NodeId;
use crate::error::Failure;
use crate::node::{Connection, Node};
use crate::service::command::builtin::millis;
use crate::service::command::{Call, Commands, Status, param};

/// Registers them.
pub(super) fn register(commands: &Commands) {
    commands.register(
        "connect",
        "calls a relay, and changes over to it",
        param::text("URL", "its address; the relays that are known, unless said").optional(),
        connect,
    );
    commands.register(
        "disconnect",
        "ends the links with a node",
        param::node("@NODE", "the other end"),
        disconnect,
    );
    commands.register(
        "links",
        "the links of this node, and how they are",
        (),
        links,
    );
}

async fn links(call: Call, (): ()) -> Status {
    let shows_addresses = call.caller.is_none();
    let node = call.node();
    let names = node
        .peers()
        .into_iter()
        .map(|peer| (peer.id, peer.name.to_string()));
    let names: Vec<_> = names.collect();
    let name = |id: NodeId| {
        let known = names.iter().find(|(known, _)| *known == id);
        known.map_or_else(|| id.short(), |(_, name)| name.clone())
    };
    let rows = node.connections();
    let rows = rows.iter().map(|connection| {
        let name = connection.node.map_or_else(|| "-".into(), name);
        row(connection, name, shows_addresses)
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return call.end(Status::OK, "there are no links");
    }
    let titles = [
        "node", "state", "how", "by", "age", "rtt", "in", "out", "address",
    ];
    let rows: Vec<_> = [titles.map(String::from)].into_iter().chain(rows).collect();
    call.end(Status::OK, table(&rows))
}

fn row(connection: &Connection, name: String, shows_addresses: bool) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let address = connection.address.clone().filter(|_| shows_addresses);
    let medium = connection.medium.map(|medium| medium.to_string());
    [
        name,
        connection.state.as_str().into(),
        connection.origin.as_str().into(),
        or_dash(medium),
        format!("{} s", connection.age.as_secs()),
        or_dash(connection.quality.rtt.map(millis)),
        connection.bytes_in.to_string(),
        connection.bytes_out.to_string(),
        or_dash(address),
    ]
}

/// Columns as wide as what is in them.
fn table(rows: &[[String; 9]]) -> String {
    let mut widths = [0; 9];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text.trim_end().to_owned()
}

async fn connect(call: Call, address: Option<String>) -> Status {
    if call.caller.is_some() {
        return call.end(
            Status::FORBIDDEN,
            "only the node's own user may call a relay",
        );
    }
    match called(call.node(), address).await {
        Ok(text) => call.end(Status::OK, text),
        Err(failure) => call.end(Status::FAILED, failure.to_string()),
    }
}

async fn called(node: &Node, address: Option<String>) -> Result<String, Failure> {
    let Some(address) = address else {
        node.redial()?;
        let name = node.online(false).await?;
        return Ok(format!("online as {name}"));
    };
    let connection = node.dialled(&address).await?;
    let relay = connection.node.map_or_else(|| "-".into(), |id| id.short());
    Ok(format!("linked to {relay}"))
}

async fn disconnect(call: Call, target: String) -> Status {
    if call.caller.is_some() {
        return call.end(Status::FORBIDDEN, "only the node's own user may end a link");
    }
    match ended(call.node(), &target).await {
        Ok(()) => Status::OK,
        Err(failure) => call.end(Status::FAILED, failure.to_string()),
    }
}

async fn ended(node: &Node, target: &str) -> Result<(), Failure> {
    match node.resolve(target).await? {
        Some(peer) => node.disconnect(peer, "the user of the other node has ended the link"),
        None => Err(crate::Code::Refused.because("this is the node itself")),
    }
}
