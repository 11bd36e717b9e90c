//! The commands `publish`, `retain`, `subscribe`, `present` and `topics`.

use futures_util::StreamExt;

use super::client::Topics;
use super::publishing::Publish;
use super::subscription::{Item, Subscribe};
use crate::Failure;
use crate::object::{Item as Part, Node, Value};
use crate::service::command::{Call, Commands, Status, param};

/// How deep a value is shown.
const SHOWN_DEPTH: usize = 6;
/// Bytes of a value that are shown.
const SHOWN_BYTES: usize = 1024;

/// Lets a node's commands publish and subscribe.
pub fn register(commands: &Commands, topics: &Topics) {
    let here = topics.clone();
    commands.register(
        "publish",
        "publishes a value at the zone's broker",
        (
            param::text("TOPIC", "such as dispenser/state"),
            param::line("VALUE", "a number, true, false, null or text"),
        ),
        move |call, (topic, value)| publish(call, here.clone(), topic, value),
    );
    let here = topics.clone();
    commands.register(
        "retain",
        "as publish, for later subscribers too; without a value it clears what is retained",
        (
            param::text("TOPIC", "such as dispenser/state"),
            param::line("VALUE", "a number, true, false, null or text").optional(),
        ),
        move |call, (topic, value)| retain(call, here.clone(), topic, value),
    );
    let here = topics.clone();
    commands.register(
        "subscribe",
        "shows what is published, until interrupted",
        param::text("FILTER", "such as dispenser/#"),
        move |call, filter| subscribe(call, here.clone(), filter),
    );
    let here = topics.clone();
    commands.register(
        "present",
        "who is subscribed at the zone's broker",
        param::text("FILTER", "to what; everything unless it is said").optional(),
        move |call, filter| present(call, here.clone(), filter),
    );
    let here = topics.clone();
    commands.register(
        "topics",
        "the topics of which the zone's broker keeps something",
        param::text("FILTER", "which; all unless it is said").optional(),
        move |call, filter| list(call, here.clone(), filter),
    );
}

async fn publish(call: Call, topics: Topics, topic: String, value: String) -> Status {
    send(call, &topics, &topic, Some(&value), Publish::default()).await
}

async fn retain(call: Call, topics: Topics, topic: String, value: Option<String>) -> Status {
    let options = Publish {
        retain: true,
        ..Publish::default()
    };
    send(call, &topics, &topic, value.as_deref(), options).await
}

async fn send(
    call: Call,
    topics: &Topics,
    topic: &str,
    value: Option<&str>,
    options: Publish,
) -> Status {
    let publishing = match value {
        None => topics.clear(topic, options),
        Some("null") => topics.publish(topic, &(), options),
        Some(text) => match (text.parse::<bool>(), text.parse::<f64>()) {
            (Ok(flag), _) => topics.publish(topic, &flag, options),
            (_, Ok(number)) if number.is_finite() => topics.publish(topic, &number, options),
            _ => topics.publish(topic, text, options),
        },
    };
    let published = match publishing {
        Ok(publishing) => publishing.await,
        Err(failure) => Err(failure),
    };
    match published {
        Ok(_) => Status::OK,
        Err(failure) => failed(&call, &failure),
    }
}

async fn subscribe(call: Call, topics: Topics, filter: String) -> Status {
    let options = Subscribe {
        echo: true,
        ..Subscribe::default()
    };
    let mut subscription = match topics.subscribe(&filter, options).await {
        Ok(subscription) => subscription,
        Err(failure) => return failed(&call, &failure),
    };
    while let Some(item) = subscription.next().await {
        match item {
            Ok(Item::Message(message)) => {
                let shown = message
                    .value()
                    .map_or_else(|error| error.to_string(), |v| show(&v));
                call.out.write(&format!("{} {shown}\n", message.topic));
            }
            Ok(Item::Gap(gap)) => {
                let count = gap
                    .missed
                    .map_or_else(|| "some".into(), |missed| missed.to_string());
                call.out.write(&format!(
                    "[{count} messages are missing: {}]\n",
                    gap.why.as_str()
                ));
            }
            Err(failure) => return failed(&call, &failure),
        }
    }
    Status::FAILED
}

async fn present(call: Call, topics: Topics, filter: Option<String>) -> Status {
    let filter = filter.unwrap_or_else(|| "#".into());
    let presence = match topics.presence(&filter, None).await {
        Ok(presence) => presence,
        Err(failure) => return failed(&call, &failure),
    };
    let peers = call.node().peers();
    let lines = presence.members().iter().map(|member| {
        let known = peers.iter().find(|peer| peer.id == member.node);
        let name = match known {
            Some(peer) => peer.name.to_string(),
            None if member.node == call.node().id() => String::from("this node"),
            None => member.node.short(),
        };
        let group = member
            .group
            .as_ref()
            .map(|group| format!(", group {group}"));
        format!("{name}  {}{}", member.filter, group.unwrap_or_default())
    });
    let lines: Vec<_> = lines.collect();
    call.end(Status::OK, lines.join("\n"))
}

async fn list(call: Call, topics: Topics, filter: Option<String>) -> Status {
    let filter = filter.unwrap_or_else(|| "#".into());
    match topics.topics(&filter, None).await {
        Ok(topics) => {
            let lines = topics.iter().map(|topic| {
                let retained = if topic.retained { ", retained" } else { "" };
                format!("{}  {} messages{retained}", topic.name, topic.messages)
            });
            let lines: Vec<_> = lines.collect();
            call.end(Status::OK, lines.join("\n"))
        }
        Err(failure) => failed(&call, &failure),
    }
}

fn failed(call: &Call, failure: &Failure) -> Status {
    call.end(Status::FAILED, failure.to_string())
}

/// A value in a line, in short.
fn show(value: &Value) -> String {
    let mut text = String::new();
    show_item(value, value.root(), SHOWN_DEPTH, &mut text);
    if text.len() > SHOWN_BYTES {
        text.truncate(text.floor_char_boundary(SHOWN_BYTES));
        text.push('…');
    }
    text
}

fn show_item(value: &Value, item: &Part, depth: usize, text: &mut String) {
    // It may be as wide as it likes.
    if text.len() > SHOWN_BYTES {
        return;
    }
    match item {
        Part::Undefined => text.push_str("undefined"),
        Part::Null => text.push_str("null"),
        Part::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Part::Unsigned(number) => text.push_str(&number.to_string()),
        Part::Negative(number) => text.push_str(&(-1 - i128::from(*number)).to_string()),
        Part::Float(number) => text.push_str(&number.to_string()),
        Part::Text(words) => text.push_str(words),
        Part::Big(_) | Part::Date(_) | Part::Pointer(_) => text.push('…'),
        Part::Node(_) if depth == 0 => text.push('…'),
        Part::Node(slot) => {
            if let Some(node) = value.node(*slot) {
                show_node(value, node, depth - 1, text);
            }
        }
    }
}

fn show_node(value: &Value, node: &Node, depth: usize, text: &mut String) {
    let mut between = "";
    let mut part = |name: &str, item: &Part, text: &mut String| {
        text.push_str(std::mem::replace(&mut between, ", "));
        text.push_str(name);
        show_item(value, item, depth, text);
    };
    match node {
        Node::List(items) | Node::Set(items) => {
            text.push('[');
            items.iter().for_each(|item| part("", item, text));
            text.push(']');
        }
        Node::Record(fields) => {
            text.push('{');
            fields
                .iter()
                .for_each(|(name, item)| part(&format!("{name}: "), item, text));
            text.push('}');
        }
        Node::Map(entries) => {
            text.push('{');
            entries.iter().for_each(|(_, item)| part("…: ", item, text));
            text.push('}');
        }
        Node::Bytes(bytes) | Node::Typed(_, bytes) => {
            text.push_str(&format!("<{} bytes>", bytes.len()));
        }
    }
}
