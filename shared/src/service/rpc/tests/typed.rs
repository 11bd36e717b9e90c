//! Objects by `#[peerage::agent]`.

use std::sync::OnceLock;

use futures_util::StreamExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Adds up.
#[crate::agent(version = 3)]
trait Adder {
    /// The sum of both.
    async fn add_up(&self, first: f64, second: f64) -> f64;
    /// Fails if there is nothing to divide by.
    async fn divide(&self, a: f64, b: f64) -> Result<f64, Thrown>;
    fn r#type(&self) -> String;
    /// Another that begins with this total.
    async fn another(&self, total: Option<f64>) -> AdderProxy;
    async fn sum_of(&self, adders: Vec<AdderProxy>) -> Result<f64, CallError>;
    #[property]
    async fn grand_total(&self) -> f64;
    #[property]
    async fn set_grand_total(&self, total: f64);
    #[property]
    fn fixed(&self) -> u8;
    #[event]
    fn over_flow(at_value: f64, by: String);
    #[event]
    fn reset();
}

struct Own {
    rpc: Rpc,
    total: Mutex<f64>,
    events: OnceLock<AdderEvents>,
}

impl Own {
    fn new(rpc: &Rpc, total: f64) -> AdderAgent<Self> {
        AdderAgent::new(Self {
            rpc: rpc.clone(),
            total: Mutex::new(total),
            events: OnceLock::new(),
        })
    }
}

impl Adder for Own {
    async fn add_up(&self, first: f64, second: f64) -> f64 {
        if let Some(events) = self.events.get().filter(|_| first + second > 100.0) {
            events.over_flow(first + second, "much".into()).unwrap();
            events.reset().unwrap();
        }
        first + second
    }

    async fn divide(&self, a: f64, b: f64) -> Result<f64, Thrown> {
        let by_nothing = || Thrown::new("RangeError", "nothing to divide by");
        (b != 0.0).then(|| a / b).ok_or_else(by_nothing)
    }

    fn r#type(&self) -> String {
        "adder".into()
    }

    async fn another(&self, total: Option<f64>) -> AdderProxy {
        let another = Arc::new(Self::new(&self.rpc, total.unwrap_or(-1.0)));
        self.rpc.share(another).into()
    }

    async fn sum_of(&self, adders: Vec<AdderProxy>) -> Result<f64, CallError> {
        let mut sum = 0.0;
        for adder in adders {
            sum += adder.grand_total().await?;
        }
        Ok(sum)
    }

    async fn grand_total(&self) -> f64 {
        *self.total.lock().unwrap()
    }

    async fn set_grand_total(&self, total: f64) {
        *self.total.lock().unwrap() = total;
    }

    fn fixed(&self) -> u8 {
        7
    }

    fn attached(&self, events: AdderEvents) {
        let _ = self.events.set(events);
    }
}

#[test]
fn a_trait_is_used_from_another_node_with_its_types() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Adder", Own::new(&s.b, 1.5)).unwrap();
    let adder = AdderProxy::new(&s.a, "b");
    assert_eq!(s.zone.run(adder.add_up(1.0, 2.0)), Ok(3.0));
    assert_eq!(s.zone.run(adder.divide(1.0, 4.0)), Ok(0.25));
    let thrown = Thrown::new("RangeError", "nothing to divide by");
    assert_eq!(s.zone.run(adder.divide(1.0, 0.0)), Err(thrown.into()));
    assert_eq!(s.zone.run(adder.r#type()), Ok("adder".into()));
    let mut watched = adder.watch_grand_total();
    assert_eq!(s.zone.run(watched.next()), Some(Ok(1.5)));
    s.zone.run(adder.set_grand_total(2.5)).unwrap();
    assert_eq!(s.zone.run(adder.grand_total()), Ok(2.5));
    assert_eq!(s.zone.run(watched.next()), Some(Ok(2.5)));
    let read_only = s.zone.run(adder.proxy().set("fixed", &8)).unwrap_err();
    assert_eq!(read_only.code(), Some(Code::UnknownMethod));
}

#[test]
fn its_events_carry_their_parameters_by_name() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Adder", Own::new(&s.b, 0.0)).unwrap();
    let adder = AdderProxy::new(&s.a, "b");
    let (mut over, mut reset) = (adder.on_over_flow(), adder.on_reset());
    s.zone.run(over.begun()).unwrap();
    s.zone.run(reset.begun()).unwrap();
    s.zone.run(adder.add_up(99.0, 2.0)).unwrap();
    let told = s.zone.run(over.next()).unwrap().unwrap();
    assert_eq!((told.at_value, told.by.as_str()), (101.0, "much"));
    assert!(s.zone.run(reset.next()).unwrap().is_ok());
}

#[test]
fn proxies_travel_as_references_and_are_asked_before_they_are_there() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Adder", Own::new(&s.b, 0.0)).unwrap();
    let adder = AdderProxy::new(&s.a, "b");
    let another = AdderProxy::from(adder.another(Some(40.0)).pipelined());
    assert_eq!(s.zone.run(another.grand_total()), Ok(40.0));
    let there = s.zone.run(adder.another(None)).unwrap();
    let here = AdderProxy::from(s.a.share(Arc::new(Own::new(&s.a, 3.0))));
    assert_eq!(s.zone.run(adder.sum_of(vec![there, here])), Ok(2.0));
    // By name it is none.
    let by_name = s.zone.run(adder.sum_of(vec![adder.clone()])).unwrap_err();
    assert!(by_name.to_string().contains("to_reference"), "{by_name}");
    let reference = s.zone.run(adder.proxy().to_reference()).unwrap();
    assert_eq!(s.zone.run(adder.sum_of(vec![reference.into()])), Ok(0.0));
}

#[test]
fn wrong_arguments_are_told_by_their_names() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Adder", Own::new(&s.b, 0.0)).unwrap();
    let raw = s.a.proxy("b", "Adder");
    for (args, words) in [
        (
            Parcel::of(&(1, "x")),
            "argument `second`: invalid type: string \"x\", expected f64",
        ),
        (Parcel::of(&(1,)), "argument `second`"),
        (Parcel::of(&(1, 2, 3)), "expected 2 arguments, got 3"),
    ] {
        let error = s
            .zone
            .run(raw.ask(Act::Call, "addUp", args.unwrap()))
            .unwrap_err();
        assert_eq!(error.code(), Some(Code::BadMessage));
        assert!(error.to_string().contains(words), "{error}");
    }
    let version = s
        .zone
        .run(raw.with_version(2).call::<f64>("addUp", &(1, 2)))
        .unwrap_err();
    assert!(
        version
            .to_string()
            .contains("the caller has version 2, the agent 3")
    );
}
