//! The commands that every node has.

use core::fmt::Write;

use crate::limits::SLEEP_MAX;
use crate::node::Node;
use crate::service::command::calc::evaluate;
use crate::service::command::line::SYSTEM;
use crate::service::command::words::split_word;
use crate::service::command::{Call, Commands, Signature, Status, param};
use crate::{Failure, Time};

/// Beyond this many characters, a usage line has its help on the next.
const USAGE_WIDTH_MAX: usize = 24;

/// Registers them.
pub(super) fn register(commands: &Commands) {
    commands.register(
        "alias",
        "lists or sets words that stand for a command here",
        param::line("NAME[=COMMAND]", "the word, and what it shall mean").optional(),
        alias,
    );
    commands.register(
        "calc",
        "arithmetic",
        param::line("EXPRESSION", "such as (1+2)*3.5"),
        calc,
    );
    commands.register(
        "echo",
        "writes the text",
        param::line("TEXT", "anything").optional(),
        |call, text: Option<String>| async move { call.end(Status::OK, text.unwrap_or_default()) },
    );
    commands.register(
        "help",
        "lists the commands, or explains one",
        param::command("COMMAND", "which one").optional(),
        help,
    );
    commands.register("peers", "who is here, and by which path", (), peers);
    commands.register(
        "ping",
        "the time there and back, and by which path",
        param::node("@NODE", "the node to reach"),
        ping,
    );
    commands.register(
        "sleep",
        "waits",
        param::number("SECONDS", "how long, such as 0.5"),
        sleep,
    );
    commands.register("status", "how this node is", (), status);
    commands.register(
        SYSTEM,
        "runs a command itself, whatever an alias makes of its name",
        param::line("COMMAND", "the command and its arguments"),
        // With a command, it is that command that runs.
        |call, _| async move { call.end(Status::USAGE, "") },
    );
}

async fn calc(call: Call, expression: String) -> Status {
    match evaluate(&expression) {
        Ok(value) => call.end(Status::OK, value.to_string()),
        Err(reason) => call.end(Status::FAILED, reason),
    }
}

async fn help(call: Call, name: Option<String>) -> Status {
    let Some(name) = name else {
        return call.end(Status::OK, overview(&call.commands));
    };
    let (signature, alias) = {
        let registry = call.commands.lock();
        let entry = registry.commands.get(&name);
        let signature = entry.map(|entry| entry.signature.in_full());
        (signature, registry.aliases.get(&name).cloned())
    };
    match (alias, signature) {
        (Some(meaning), _) => call.end(Status::OK, format!("{name} is an alias of `{meaning}`")),
        (None, Some(text)) => call.end(Status::OK, text),
        (None, None) => {
            let text = format!("unknown command `{name}`; `help` lists those that are known");
            call.end(Status::FAILED, text)
        }
    }
}

fn overview(commands: &Commands) -> String {
    let signatures = commands.signatures();
    let usages: Vec<_> = signatures.iter().map(Signature::usage).collect();
    let widths = usages.iter().map(|usage| usage.chars().count());
    let width = widths.filter(|width| *width <= USAGE_WIDTH_MAX).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (usage, Signature { help, .. }) in usages.iter().zip(&signatures) {
        // Writing to a string cannot fail.
        let _ = match usage.chars().count() <= width {
            true => writeln!(text, "{usage:width$}  {help}"),
            false => writeln!(text, "{usage}\n{:width$}  {help}", ""),
        };
    }
    text + "\nCOMMAND @NAME runs a command at that node, COMMAND @a,b at these, COMMAND @* at everyone else,\n\
        relays included; @NAME[timeout=2s] interrupts it after that time. `help COMMAND` tells more."
}

async fn alias(call: Call, args: Option<String>) -> Status {
    let args = args.unwrap_or_default();
    let (name, meaning) = match args.split_once('=') {
        Some((name, meaning)) => (name.trim(), Some(meaning.trim())),
        None => (args.trim(), None),
    };
    match meaning {
        // What a word means here is not for others to say.
        Some(_) if call.caller.is_some() => call.end(
            Status::FORBIDDEN,
            "only the node's own user may set an alias",
        ),
        Some(meaning) if name.is_empty() || meaning.is_empty() || split_word(name).0 != name => {
            call.end(Status::USAGE, "expected alias NAME=COMMAND")
        }
        Some(meaning) => {
            call.commands
                .lock()
                .aliases
                .insert(name.to_owned(), meaning.to_owned());
            Status::OK
        }
        None => {
            let lines: Vec<_> = {
                let registry = call.commands.lock();
                let listed = registry
                    .aliases
                    .iter()
                    .filter(|(n, _)| name.is_empty() || *n == name);
                listed
                    .map(|(name, meaning)| format!("{name}={meaning}"))
                    .collect()
            };
            if lines.is_empty() && !name.is_empty() {
                return call.end(Status::FAILED, format!("`{name}` is no alias here"));
            }
            call.end(Status::OK, lines.join("\n"))
        }
    }
}

async fn peers(call: Call, (): ()) -> Status {
    let mut text = String::new();
    for peer in call.node().peers() {
        let rtt = peer.quality.rtt.map_or_else(|| "-".into(), millis);
        let role = peer
            .role
            .map_or_else(String::new, |role| format!("  {role}"));
        let _ = writeln!(
            text,
            "{}  {}  {}  {rtt}  {}{role}",
            peer.name,
            peer.kind,
            peer.path,
            peer.id.short()
        );
    }
    let text = if text.is_empty() {
        "nobody else is here"
    } else {
        text.trim_end()
    };
    call.end(Status::OK, text)
}

async fn ping(call: Call, target: String) -> Status {
    match ping_by_name(call.node(), &target).await {
        Ok(text) => call.end(Status::OK, text),
        Err(failure) => call.end(Status::FAILED, failure.to_string()),
    }
}

async fn ping_by_name(node: &Node, target: &str) -> Result<String, Failure> {
    let Some(peer) = node.resolve(target).await? else {
        return Ok(format!("{target} is this node itself"));
    };
    let pong = node.ping(peer).await?;
    Ok(format!("{target}: {} {}", millis(pong.rtt), pong.path))
}

async fn sleep(call: Call, seconds: f64) -> Status {
    match Time::try_from_secs_f64(seconds) {
        Ok(duration) => call.node().sleep(duration.min(SLEEP_MAX)).await,
        Err(_) if seconds > 0.0 => call.node().sleep(SLEEP_MAX).await,
        Err(_) => return call.end(Status::USAGE, "expected a time that is not negative"),
    }
    Status::OK
}

async fn status(call: Call, (): ()) -> Status {
    let node = call.node();
    let peers = node.peers();
    let name = node.name();
    let relays = peers.iter().filter(|peer| peer.kind == crate::Kind::Relay);
    let relays: Vec<_> = relays.map(|relay| relay.name.as_str()).collect();
    let up = node.now().saturating_sub(call.commands.since);
    let lines = [
        (
            "name",
            name.as_ref().map_or("-", |name| name.as_str()).to_owned(),
        ),
        ("id", node.id().to_string()),
        ("kind", node.kind().to_string()),
        ("state", node.state().as_str().to_owned()),
        ("relays", relays.join(", ")),
        ("peers", peers.len().to_string()),
        ("sessions", node.sessions().to_string()),
        ("up", format!("{} s", up.as_secs())),
    ];
    let lines = lines.map(|(what, value)| format!("{what:8}  {value}"));
    call.end(Status::OK, lines.join("\n"))
}

/// A time in milliseconds, in words.
pub(super) fn millis(time: Time) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
