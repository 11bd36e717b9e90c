//! The commands that every node has.

use core::fmt::Write;

use crate::limits::SLEEP_MAX;
use crate::node::Node;
use crate::service::command::line::split_word;
use crate::service::command::{Call, Commands, Status};
use crate::{Failure, Time};

/// Registers them.
pub(super) fn register(commands: &Commands) {
    commands.register(
        "alias",
        "alias [NAME[=COMMAND]]: list or set words that stand for a command",
        alias,
    );
    commands.register(
        "calc",
        "calc EXPRESSION: arithmetic, such as calc (1+2)*3.5",
        calc,
    );
    commands.register("echo", "echo TEXT: writes the text", |call| async move {
        call.end(Status::OK, &call.args)
    });
    commands.register("help", "help: lists the commands", help);
    commands.register("peers", "peers: who is here, and by which path", peers);
    commands.register(
        "ping",
        "ping @NAME: the time there and back, and by which path",
        ping,
    );
    commands.register("sleep", "sleep SECONDS: waits", sleep);
}

async fn calc(call: Call) -> Status {
    match evaluate(&call.args) {
        Ok(value) => call.end(Status::OK, value.to_string()),
        Err(reason) => call.end(Status::FAILED, reason),
    }
}

fn evaluate(expression: &str) -> Result<f64, String> {
    if expression.trim().is_empty() {
        return Err(String::from("expected an expression, such as 1+2"));
    }
    let value = fasteval2::ez_eval(expression, &mut fasteval2::EmptyNamespace)
        .map_err(|error| explain(expression, &error))?;
    if value.is_nan() {
        Err(format!(
            "`{expression}` has no value: it divides zero by zero, or the like"
        ))
    } else if value.is_infinite() {
        Err(format!(
            "`{expression}` has no value: it divides by zero, or grows too large"
        ))
    } else {
        // Minus zero is of no use to anybody.
        Ok(value + 0.0)
    }
}

fn explain(expression: &str, error: &fasteval2::Error) -> String {
    use fasteval2::Error;
    match error {
        Error::EofWhileParsing(_) | Error::EOF => {
            format!("`{expression}` is incomplete: expected a value at its end")
        }
        Error::Undefined(name) => format!("`{name}` is neither a number nor a known function"),
        Error::UnparsedTokensRemaining(rest) => format!("did not expect `{rest}`"),
        Error::TooLong => String::from("the expression is too long"),
        Error::TooDeep => String::from("the expression is nested too deeply"),
        other => format!("`{expression}` cannot be read: {other}"),
    }
}

async fn help(call: Call) -> Status {
    let text = {
        let table = call.commands.lock();
        let aliases = table
            .aliases
            .iter()
            .map(|(name, to)| format!("{name}: alias of `{to}`"));
        let lines: Vec<_> = table
            .commands
            .values()
            .map(|entry| entry.help.clone())
            .chain(aliases)
            .collect();
        lines.join("\n")
    };
    call.end(Status::OK, text)
}

async fn alias(call: Call) -> Status {
    let (name, meaning) = match call.args.split_once('=') {
        Some((name, meaning)) => (name.trim(), Some(meaning.trim())),
        None => (call.args.trim(), None),
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
                let table = call.commands.lock();
                let listed = table
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

async fn peers(call: Call) -> Status {
    let mut text = String::new();
    for peer in call.node().peers() {
        let rtt = peer.quality.rtt.map_or_else(|| "-".into(), millis);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}  {}  {}  {rtt}  {}",
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

async fn ping(call: Call) -> Status {
    let target = call.args.trim().trim_start_matches('@').to_owned();
    if target.is_empty() {
        return call.end(Status::USAGE, "expected ping @NAME");
    }
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

async fn sleep(call: Call) -> Status {
    let seconds = call.args.trim().parse().map(Time::try_from_secs_f64);
    let Ok(Ok(duration)) = seconds else {
        return call.end(Status::USAGE, "expected sleep SECONDS, such as sleep 0.5");
    };
    call.node().sleep(duration.min(SLEEP_MAX)).await;
    Status::OK
}

fn millis(time: Time) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn shown(expression: &str) -> String {
        evaluate(expression).map_or_else(|e| e, |value| value.to_string())
    }

    #[test]
    fn arithmetic_has_precedence_parentheses_and_fractions() {
        for (expression, value) in [
            ("1+2", "3"),
            ("1 + 2 * 3", "7"),
            ("(1+2)*3", "9"),
            ("2^10", "1024"),
            ("-3 + 1", "-2"),
            ("1/4", "0.25"),
            ("0.5 * 3", "1.5"),
            ("10 % 4", "2"),
            ("7 - 2 - 1", "4"),
            ("0 * -1", "0"),
            ("1e3", "1000"),
            ("sin(0)", "0"),
        ] {
            assert_eq!(shown(expression), value, "{expression}");
        }
    }

    #[test]
    fn what_has_no_value_says_why() {
        assert!(shown("1/0").contains("divides by zero"), "{}", shown("1/0"));
        assert!(shown("0/0").contains("zero by zero"));
        assert!(shown("1+").contains("incomplete"), "{}", shown("1+"));
        assert!(shown("1+x").contains("`x`"), "{}", shown("1+x"));
        assert!(shown("").contains("expected an expression"));
        for odd in ["1 2", "(1", "1)", "@", "1++", "\u{0}", "ä"] {
            assert!(evaluate(odd).is_err(), "{odd}: {:?}", evaluate(odd));
        }
    }

    #[test]
    fn hostile_expressions_are_refused_quickly() {
        assert!(evaluate(&"(".repeat(100_000)).is_err());
        assert!(evaluate(&"1+".repeat(100_000)).is_err());
        assert!(evaluate("9^9^9^9").is_err());
    }
}
