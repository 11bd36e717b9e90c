//! `#[peerage::agent]` on traits that make it hard: names as they come, conditions, and what is old.

#![deny(warnings)]
#![expect(clippy::unwrap_used, reason = "this is all a test")]

use std::sync::Arc;

use futures_util::FutureExt;
use peerage::rpc::{Act, Agent, CallError, Parcel, Request, Thrown};

/// An interface of which a macro writes the types.
macro_rules! interface {
    ($name:ident, $returns:ty, $param:ty) => {
        #[peerage::agent]
        trait $name {
            async fn divide(&self, a: $param, b: $param) -> $returns;
        }
    };
}

interface!(Divider, Result<f64, Thrown>, f64);

struct Own;

impl Divider for Own {
    async fn divide(&self, a: f64, b: f64) -> Result<f64, Thrown> {
        let by_nothing = || Thrown::new("RangeError", "nothing to divide by");
        (b != 0.0).then(|| a / b).ok_or_else(by_nothing)
    }
}

/// A type of a name that generic code likes.
type T = u32;

/// Names that what is written for it might use itself.
#[peerage::agent]
trait Names {
    fn from(&self, args: T, request: T, result: T) -> T;
    fn of(&self, serializer: T, deserializer: T, events: T, self_: T) -> T;
    fn handle(&self, act: T, name: T, error: T, names: T) -> T;
    fn interface(&self, value: T, reference: T, rpc: T) -> T;
    fn emit(&self, record: T, this: T, proxy: T, agent: T) -> T;
    fn into(&self) -> T;
    fn eq(&self, other: T) -> T;
    fn r#type(&self, r#fn: T) -> T;
    #[property]
    fn args(&self) -> T;
    #[property]
    fn set_args(&self, args: T);
    #[property]
    fn set_point(&self) -> T;
    #[property]
    fn set_set_point(&self, result: T);
    #[event]
    fn told(args: T, request: T, serializer: T, deserializer: T, value: T, r#type: T);
    #[event]
    fn emitter(emitter: T);
}

impl Names for Own {
    fn from(&self, args: T, request: T, result: T) -> T {
        args * 100 + request * 10 + result
    }

    fn of(&self, serializer: T, deserializer: T, events: T, self_: T) -> T {
        serializer * 1000 + deserializer * 100 + events * 10 + self_
    }

    fn handle(&self, act: T, name: T, error: T, names: T) -> T {
        act * 1000 + name * 100 + error * 10 + names
    }

    fn interface(&self, value: T, reference: T, rpc: T) -> T {
        value * 100 + reference * 10 + rpc
    }

    fn emit(&self, record: T, this: T, proxy: T, agent: T) -> T {
        record * 1000 + this * 100 + proxy * 10 + agent
    }

    fn into(&self) -> T {
        1
    }

    fn eq(&self, other: T) -> T {
        other
    }

    fn r#type(&self, r#fn: T) -> T {
        r#fn
    }

    fn args(&self) -> T {
        5
    }

    fn set_args(&self, args: T) {
        assert_eq!(args, 6);
    }

    fn set_point(&self) -> T {
        7
    }

    fn set_set_point(&self, result: T) {
        assert_eq!(result, 8);
    }
}

/// Some of it is not there, and some is old.
#[peerage::agent(version = 2)]
trait Parts {
    #[cfg(any())]
    fn never(&self, x: NotThere) -> NotThere;
    #[cfg(test)]
    fn either(&self) -> u8;
    #[cfg(not(test))]
    fn either(&self, x: u8) -> u8;
    #[deprecated(note = "use `either`")]
    fn old(&self) -> u8;
    #[cfg(any())]
    #[property]
    fn no_property(&self) -> NotThere;
    #[cfg(any())]
    #[property]
    fn set_no_property(&self, to: NotThere);
    #[deprecated]
    #[property]
    fn old_property(&self) -> u8;
    #[deprecated]
    #[property]
    fn set_old_property(&self, to: u8);
    #[cfg(any())]
    #[event]
    fn no_event(x: NotThere);
    #[deprecated]
    #[event]
    fn old_event(x: u8);
}

impl Parts for Own {
    fn either(&self) -> u8 {
        1
    }

    fn old(&self) -> u8 {
        2
    }

    fn old_property(&self) -> u8 {
        3
    }

    fn set_old_property(&self, _: u8) {}
}

fn ask(agent: impl Agent, act: Act, name: &str, args: Parcel) -> Result<Parcel, CallError> {
    let request = Request {
        act,
        name,
        args,
        caller: None,
        turn: None,
        trace: None,
    };
    Arc::new(agent).handle(request).now_or_never().unwrap()
}

fn called(agent: impl Agent, name: &str, args: &[u32]) -> u32 {
    let args = Parcel::of(args).unwrap();
    ask(agent, Act::Call, name, args).unwrap().read().unwrap()
}

#[test]
fn a_parameter_may_be_called_anything() {
    assert_eq!(called(NamesAgent::new(Own), "from", &[1, 2, 3]), 123);
    assert_eq!(called(NamesAgent::new(Own), "of", &[1, 2, 3, 4]), 1234);
    assert_eq!(called(NamesAgent::new(Own), "handle", &[1, 2, 3, 4]), 1234);
    assert_eq!(called(NamesAgent::new(Own), "interface", &[1, 2, 3]), 123);
    assert_eq!(called(NamesAgent::new(Own), "emit", &[1, 2, 3, 4]), 1234);
    assert_eq!(called(NamesAgent::new(Own), "into", &[]), 1);
    assert_eq!(called(NamesAgent::new(Own), "eq", &[9]), 9);
    assert_eq!(called(NamesAgent::new(Own), "type", &[9]), 9);
}

#[test]
fn a_property_may_be_called_as_writers_are() {
    for (name, is, to) in [("args", 5, 6_u32), ("setPoint", 7, 8)] {
        let nothing = Parcel::default();
        let got = ask(NamesAgent::new(Own), Act::Get, name, nothing).unwrap();
        assert_eq!(got.read(), Ok(is));
        let to = Parcel::of(&to).unwrap();
        ask(NamesAgent::new(Own), Act::Set, name, to).unwrap();
    }
}

#[test]
fn a_result_of_a_macros_is_one() {
    let divide = |by: f64| {
        let args = Parcel::of(&(1.0, by)).unwrap();
        ask(DividerAgent::new(Own), Act::Call, "divide", args)
    };
    assert_eq!(divide(4.0).unwrap().read(), Ok(0.25));
    let thrown = Thrown::new("RangeError", "nothing to divide by");
    assert_eq!(divide(0.0).unwrap_err(), thrown.into());
}

#[test]
fn what_is_not_there_is_not_offered() {
    let interface = Agent::interface(&PartsAgent::new(Own));
    assert_eq!(interface.methods, ["either", "old"]);
    assert_eq!(interface.properties, ["oldProperty"]);
    assert_eq!(interface.events, Some(vec!["oldEvent".into()]));
    assert_eq!(called(PartsAgent::new(Own), "either", &[]), 1);
    assert_eq!(called(PartsAgent::new(Own), "old", &[]), 2);
    let unknown = ask(PartsAgent::new(Own), Act::Call, "never", Parcel::default());
    assert_eq!(
        unknown.unwrap_err().code(),
        Some(peerage::Code::UnknownMethod)
    );
}
