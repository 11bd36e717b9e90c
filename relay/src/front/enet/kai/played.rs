//! A node of KAI as a test plays it, and what others may do with it.

use bytes::Bytes;
use peerage::Code;
use peerage::limits::{KAI_AGENTS_MAX, KAI_PENDING_MAX};
use peerage::object::{Value, from_value, to_value};
use peerage::rpc::{CallError, Later, Parcel};
use peerage::service::command::Status;
use serde::Serialize;
use serde_json::json;

use super::wire::{Line, Message, Outcome};
use crate::enet::Peer;
use crate::front::enet::tests::Stage;

/// A node of KAI, which is `old` to others.
struct Kai(Peer);

impl Kai {
    async fn come(stage: &Stage) -> Self {
        let kai = Self(stage.port.connect(stage.address, 2, 0).await.unwrap());
        // Any message tells what it is.
        kai.say(Message::Event {
            name: "Hello".into(),
            payload: Bytes::new(),
        })
        .await;
        let mut events = stage.relay.events();
        while !stage
            .relay
            .peers()
            .iter()
            .any(|peer| peer.name.as_str() == "old")
        {
            events.next().await;
        }
        kai
    }

    async fn say(&self, message: Message) {
        let bytes = message.encode().unwrap();
        self.0.sender().send(0, bytes).await.unwrap();
    }

    async fn hear(&mut self) -> Message {
        let (_, packet) = self.0.recv().await.unwrap();
        Message::decode(&packet.bytes).unwrap()
    }

    /// Answers the next call by a sum.
    async fn add(&mut self) -> i32 {
        let Message::Call {
            handle,
            future,
            args,
            ..
        } = self.hear().await
        else {
            panic!("a call");
        };
        let (a, b): (i64, i64) = from_value(&args).unwrap();
        self.say(Message::Response {
            future,
            outcome: Outcome::Returned,
            error: String::new(),
            result: value(&(a + b)),
        })
        .await;
        handle
    }
}

fn value(of: &impl Serialize) -> Value {
    to_value(of).unwrap()
}

fn config(more: serde_json::Value) -> serde_json::Value {
    let mut kai = json!({ "names": { "127.0.0.1": "old" } });
    for (key, value) in more.as_object().unwrap() {
        kai[key] = value.clone();
    }
    json!({ "kai": kai })
}

#[tokio::test]
async fn nobody_runs_lines_at_its_console_but_who_is_named() {
    let everybody = json!({ "console": ["*"] });
    for console in [json!({}), json!({ "console": ["nobody", "old"] })] {
        let stage = Stage::new(config(console)).await;
        let mut kai = Kai::come(&stage).await;
        let refused = stage.relay.run("1+2 @old").await.unwrap();
        assert_eq!(refused.status, Status::FORBIDDEN);
        let told = refused.output;
        assert!(
            told.contains("unauthorised") && told.contains("enet.kai.console"),
            "{told}"
        );
        // It has heard nothing of it: what it hears first is what comes next.
        stage
            .relay
            .proxy("old", "kai")
            .call::<()>("emit", &("After",))
            .await
            .unwrap();
        assert!(matches!(kai.hear().await, Message::Event { name, .. } if name == "After"));
    }
    for console in [everybody, json!({ "console": ["nobody", "relay"] })] {
        let stage = Stage::new(config(console)).await;
        let mut kai = Kai::come(&stage).await;
        let node = stage.relay.clone();
        let running = tokio::spawn(async move { node.run("1+2 @old").await.unwrap() });
        let Message::Command(Line {
            sender, command, ..
        }) = kai.hear().await
        else {
            panic!("a line");
        };
        assert_eq!((sender.as_str(), command.as_str()), ("relay", "1+2"));
        kai.say(Message::Result {
            sender,
            command,
            result: "3".into(),
        })
        .await;
        let ran = running.await.unwrap();
        assert_eq!((ran.status, ran.output.as_str()), (Status::OK, "3"));
    }
}

#[tokio::test]
async fn who_asks_for_every_handle_takes_nothing_from_others() {
    let stage = Stage::new(config(json!({ "offers": { "7": "Calc" } }))).await;
    let mut kai = Kai::come(&stage).await;
    for handle in 1..=KAI_AGENTS_MAX as i32 + 50 {
        let call = stage
            .relay
            .proxy("old", &handle.to_string())
            .call::<i64>("Add", &(1, 2));
        assert_eq!(kai.add().await, handle);
        assert_eq!(call.await, Ok(3));
    }
    for (agent, handle) in [("Calc", 7), ("1", 1), ("2000000000", 2_000_000_000)] {
        let call = stage.relay.proxy("old", agent).call::<i64>("Add", &(1, 2));
        assert_eq!(kai.add().await, handle);
        assert_eq!(call.await, Ok(3));
    }
    // A number has one name.
    for name in ["07", "+7", "0", "-7", "7 "] {
        let failed = stage
            .relay
            .proxy("old", name)
            .call::<i64>("Add", &(1, 2))
            .await;
        assert_eq!(
            failed.unwrap_err().code(),
            Some(Code::UnknownName),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_value_to_come_never_comes_before_the_call_that_names_it() {
    let stage = Stage::new(config(json!({}))).await;
    let mut kai = Kai::come(&stage).await;
    for n in 0..200_i64 {
        // It is there already.
        let later: Later<i64> = stage
            .relay
            .rpc()
            .later(async move { Ok::<_, CallError>(n) });
        let call = stage
            .relay
            .proxy("old", "7")
            .call::<i64>("Add", &(later, 2));
        let Message::Call { future, args, .. } = kai.hear().await else {
            panic!("the call comes first");
        };
        let ((is_there, number), two): ((bool, i32), i64) = from_value(&args).unwrap();
        assert_eq!((is_there, two), (false, 2));
        let Message::Resolve {
            future: told,
            value: there,
            ..
        } = kai.hear().await
        else {
            panic!("and then the value");
        };
        assert_eq!((told, from_value::<i64>(&there).unwrap()), (number, n));
        kai.say(Message::Response {
            future,
            outcome: Outcome::Returned,
            error: String::new(),
            result: value(&(n + 2)),
        })
        .await;
        assert_eq!(call.await, Ok(n + 2));
    }
}

/// An agent that never looks at what it gets.
struct Careless;

impl peerage::rpc::Agent for Careless {
    fn interface(&self) -> peerage::rpc::Interface {
        peerage::rpc::Interface::default()
    }

    fn handle(
        self: std::sync::Arc<Self>,
        request: peerage::rpc::Request<'_>,
    ) -> peerage::rpc::Handling {
        drop(request);
        Box::pin(core::future::ready(Ok(Parcel::of(&1).unwrap())))
    }
}

#[tokio::test]
async fn values_to_come_that_nobody_waits_for_any_more_take_no_room() {
    let stage = Stage::new(config(json!({ "agents": { "5": "relay/Careless" } }))).await;
    let _careless = stage.relay.agent("Careless", Careless).unwrap();
    let mut kai = Kai::come(&stage).await;
    for n in 0..=KAI_PENDING_MAX as i32 + 10 {
        let future = n + 1;
        kai.say(Message::Call {
            handle: 5,
            future,
            method: "take".into(),
            args: value(&((false, future),)),
        })
        .await;
        let Message::Response { outcome, error, .. } = kai.hear().await else {
            panic!("an answer");
        };
        assert_eq!(outcome, Outcome::Returned, "{n}: {error}");
    }
}
