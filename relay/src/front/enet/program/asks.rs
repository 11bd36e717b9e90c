//! What a program asks for, from when it does to the end.

use std::future::poll_fn;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use peerage::Failure;
use peerage::rpc::{Act, Asking, CallError, Parcel, Subscription};
use peerage::service::broker::{Item, Publish, Publishing, Subscribe, Topics};
use peerage::service::operation::{Operation, Options, Progress, StopKind, Unsuccessful};
use tokio::sync::mpsc;

use super::wire::{AgentAct, Wish, failed, of, say};
use crate::front::held::Held;
use crate::front::out::Out;

type Stops = mpsc::UnboundedReceiver<(StopKind, String)>;

/// Begins something at once; what this returns sees to it until it is over.
pub(super) fn begin(
    held: &Held,
    id: u32,
    what: Wish,
    out: Out,
    stops: Stops,
) -> BoxFuture<'static, ()> {
    let line = Line { id, out };
    match what {
        Wish::Agent {
            act,
            node,
            agent,
            name,
            value,
        } => {
            let proxy = held.rpc().proxy(&node, &agent);
            match act {
                AgentAct::Call => Box::pin(line.called(proxy.ask(Act::Call, &name, list(value)))),
                AgentAct::Get => {
                    let nothing = Parcel::default();
                    Box::pin(line.called(proxy.ask(Act::Get, &name, nothing)))
                }
                AgentAct::Set => Box::pin(line.called(proxy.ask(Act::Set, &name, value))),
                AgentAct::Watch => Box::pin(line.heard(proxy.listen(Act::Watch, &name))),
                AgentAct::Listen => Box::pin(line.heard(proxy.listen(Act::Subscribe, &name))),
            }
        }
        Wish::Start { node, name, value } => {
            let operations = held.operations();
            let operation = operations.start_with(&node, &name, value, Options::default());
            Box::pin(line.followed(operation, stops))
        }
        Wish::Publish {
            topic,
            value,
            retain,
        } => {
            let options = Publish {
                retain,
                ..Publish::default()
            };
            let publishing = held.topics().publish_value(&topic, value.value(), options);
            Box::pin(line.published(publishing))
        }
        Wish::Subscribe { filter } => Box::pin(line.subscribed(held.topics().clone(), filter)),
    }
}

/// A program that calls without arguments may leave them out.
fn list(value: Parcel) -> Parcel {
    match value.value().root() {
        peerage::object::Item::Undefined | peerage::object::Item::Null => Parcel::list([]),
        _ => value,
    }
}

/// Where a request is answered.
struct Line {
    id: u32,
    out: Out,
}

impl Line {
    async fn called(self, asking: Asking) {
        let result = asking.await;
        self.end(result).await;
    }

    async fn heard(self, mut subscription: Subscription<()>) {
        if let Err(error) = subscription.begun().await {
            return self.end(Err(error)).await;
        }
        self.say(say("result", [of(&self.id), Parcel::default()]))
            .await;
        while let Some(next) = poll_fn(|cx| subscription.poll_parcel(cx)).await {
            match next {
                Ok(parcel) => {
                    let missed = of(&subscription.missed());
                    self.say(say("next", [of(&self.id), parcel, missed])).await;
                }
                Err(error) => return self.end(Err(error)).await,
            }
        }
    }

    async fn followed(self, mut operation: Operation, mut stops: Stops) {
        loop {
            tokio::select! {
                Some((kind, reason)) = stops.recv() => operation.stop(kind, &reason),
                progress = operation.progress() => match progress {
                    Some(progress) => self.say(self.progress(progress)).await,
                    None => break,
                },
            }
        }
        match operation.await {
            Ok(value) => self.end(Ok(value)).await,
            Err(Unsuccessful::Lost(error)) => self.end(Err(error)).await,
            Err(Unsuccessful::Fail { reason, data }) => {
                let fields = [of(&self.id), of("failed"), of(&reason), data];
                self.say(say("fail", fields)).await;
            }
            Err(Unsuccessful::Stopped(stop)) => {
                let fields = [of(&self.id), of(stop.kind.as_str()), of(&stop.reason)];
                self.say(say("fail", fields)).await;
            }
        }
    }

    fn progress(&self, progress: Progress) -> Result<Bytes, Failure> {
        let remaining_ms = progress.remaining.map(|time| time.as_millis() as u64);
        let fields = [
            of(&self.id),
            of(&progress.fraction),
            of(&remaining_ms),
            of(&progress.note),
            progress.data,
        ];
        say("progress", fields)
    }

    async fn published(self, publishing: Result<Publishing, Failure>) {
        let published = match publishing {
            Ok(publishing) => publishing.await,
            Err(failure) => Err(failure),
        };
        let done = published.map(|published| of(&published.offset));
        self.end(done.map_err(CallError::from)).await;
    }

    async fn subscribed(self, topics: Topics, filter: String) {
        let mut subscription = match topics.subscribe(&filter, Subscribe::default()).await {
            Ok(subscription) => subscription,
            Err(failure) => return self.end(Err(failure.into())).await,
        };
        self.say(say("result", [of(&self.id), Parcel::default()]))
            .await;
        while let Some(item) = subscription.next().await {
            match item {
                Ok(Item::Message(message)) => {
                    let Ok(value) = message.value() else {
                        continue;
                    };
                    let fields = [
                        of(&self.id),
                        of(&*message.topic),
                        Parcel::new(value, Vec::new()),
                        of(&message.sender.to_string()),
                        of(&message.retained),
                    ];
                    self.say(say("message", fields)).await;
                }
                Ok(Item::Gap(gap)) => {
                    self.say(say("gap", [of(&self.id), of(&gap.missed)])).await;
                }
                Err(failure) => return self.end(Err(failure.into())).await,
            }
        }
    }

    async fn end(&self, result: Result<Parcel, CallError>) {
        let message = match result {
            Ok(value) => say("result", [of(&self.id), value]),
            Err(error) => failed(self.id, &error),
        };
        self.say(message).await;
    }

    /// Says something; instead of what is too long, that it is.
    async fn say(&self, message: Result<Bytes, Failure>) {
        let message = message.or_else(|failure| failed(self.id, &failure.into()));
        if let Ok(message) = message {
            // The session ends with the connection.
            let _ = self.out.put(message).await;
        }
    }
}
