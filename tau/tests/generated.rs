//! What is written for the files of these tests is Rust that compiles, and works.

#![allow(
    dead_code,
    missing_docs,
    unused_imports,
    unreachable_pub,
    clippy::module_inception,
    clippy::unwrap_used,
    clippy::upper_case_acronyms,
    clippy::use_self,
    reason = "generated code is as its file says, and this test uses little of it"
)]

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use peerage::rpc::{Act, Agent, CallError, Parcel, Request, Thrown};

macro_rules! generated {
    ($($module:ident: $file:literal),* $(,)?) => {$(
        mod $module {
            include!(concat!("files/", $file, ".rs"));
        }
    )*};
}

generated! {
    chat: "ChatInterface",
    connection: "ConnectionBasic",
    corners: "Corners",
    distributed: "DistributedCalculator",
    messages: "MessageHandling",
    node: "NetworkNode",
    services: "NetworkServices",
    simple: "SimpleCalculator",
    tau0: "Tau0",
    tau1: "Tau1",
    tau2: "Tau2",
}

use distributed::math::distributed::{
    HistoryCalculator, HistoryCalculatorAgent, NodeProxy, Operation, Step,
};

#[derive(Default)]
struct Own(Mutex<i32>);

impl HistoryCalculator for Own {
    async fn peer_count(&self) -> i32 {
        *self.0.lock().unwrap()
    }
    async fn set_peer_count(&self, peer_count: i32) {
        *self.0.lock().unwrap() = peer_count;
    }
    async fn sum(&self, values: Vec<f64>) -> Result<f64, CallError> {
        Ok(values.into_iter().sum())
    }
    async fn add_later(
        &self,
        a: peerage::rpc::Later<f64>,
        b: peerage::rpc::Later<f64>,
    ) -> Result<f64, CallError> {
        Ok(a.await? + b.await?)
    }
    async fn reset(&self) -> Result<(), CallError> {
        Err(Thrown::new("NotAllowed", "never").into())
    }
    async fn run(&self, start: f64, steps: Vec<Step>) -> Result<f64, CallError> {
        let sum = steps.iter().filter(|step| step.operation == Operation::Add);
        Ok(start
            + sum
                .map(|step| step.operand.unwrap_or_default())
                .sum::<f64>())
    }
    async fn evaluate(
        &self,
        expression: String,
        precision: Option<i32>,
        exact: Option<bool>,
    ) -> Result<f64, CallError> {
        assert_eq!((precision, exact), (Some(2), None));
        Ok(expression.len() as f64)
    }
    async fn get_peers(&self) -> Result<Vec<NodeProxy>, CallError> {
        Ok(Vec::new())
    }
    async fn get_variables(&self) -> Result<std::collections::BTreeMap<String, f64>, CallError> {
        Ok([("pi".to_owned(), 3.0)].into())
    }
    async fn seeds(&self) -> Result<peerage::object::Set<i64>, CallError> {
        Ok(peerage::object::Set([1, 2].into()))
    }
    async fn length(&self) -> i32 {
        1
    }
    async fn get_step(&self, index: i32) -> Result<Step, CallError> {
        let operand = Some(f64::from(index));
        let operation = Operation::Multiply;
        Ok(Step { operation, operand })
    }
}

fn ask(act: Act, name: &str, args: impl serde::Serialize) -> Result<Parcel, CallError> {
    let agent = Arc::new(HistoryCalculatorAgent::new(Own::default()));
    let request = Request {
        act,
        name,
        args: Parcel::of(&args).unwrap(),
        caller: None,
        turn: None,
        trace: None,
    };
    agent.handle(request).now_or_never().unwrap()
}

#[test]
fn an_interface_of_a_file_is_answered_as_it_says() {
    let sum = ask(Act::Call, "sum", (vec![1.0, 2.0],)).unwrap();
    assert_eq!(sum.read(), Ok(3.0));
    let steps = [Step {
        operation: Operation::Add,
        operand: Some(2.0),
    }];
    let run = ask(Act::Call, "run", (1.0, steps)).unwrap();
    assert_eq!(run.read(), Ok(3.0));
    let evaluated = ask(Act::Call, "evaluate", ("1+1", 2)).unwrap();
    assert_eq!(evaluated.read(), Ok(3.0));
    let step: Step = ask(Act::Call, "getStep", (4,)).unwrap().read().unwrap();
    assert_eq!(
        (step.operation, step.operand),
        (Operation::Multiply, Some(4.0))
    );
    assert_eq!(ask(Act::Get, "length", ()).unwrap().read(), Ok(1));
    assert!(ask(Act::Set, "length", 2).is_err());
    let reset = ask(Act::Call, "reset", ()).unwrap_err();
    assert_eq!(reset, Thrown::new("NotAllowed", "never").into());
    let agent = HistoryCalculatorAgent::new(Own::default());
    let interface = agent.interface();
    assert_eq!(
        (interface.name.as_str(), interface.version),
        ("HistoryCalculator", Some(3))
    );
    assert!(interface.methods.contains(&"addLater".to_owned()));
    assert_eq!(interface.events.unwrap().len(), 3);
}
