//! What a node of KAI asks agents of the mesh for. Its handles mean those that the configuration says, and no
//! others.

use std::sync::Arc;

use peerage::error::Code;
use peerage::limits::KAI_ANSWER_TIMEOUT;
use peerage::log::MESSAGE;
use peerage::object::Value;
use peerage::rpc::{Act, CallError, Parcel, Thrown};

use super::futures;
use super::session::Shared;
use super::wire::{Message, Outcome};

/// KAI's words for what it does not know; its nodes compare nothing else.
const UNKNOWN_METHOD: &str = "Unknown agent or method";
const UNKNOWN_PROPERTY: &str = "Unknown property";
const UNWRITABLE: &str = "Failed to serialize function response";

/// A method is called.
pub(super) fn call(shared: &Arc<Shared>, handle: i32, future: i32, method: &str, args: Value) {
    let args = match shared.config.agent(handle) {
        Some(_) => futures::import_all(shared, &args),
        // It fails for that, whatever its arguments are.
        None => Ok(Parcel::default()),
    };
    ask(shared, handle, future, (Act::Call, method), args);
}

/// A property is asked for.
pub(super) fn get(shared: &Arc<Shared>, handle: i32, future: i32, name: &str) {
    ask(
        shared,
        handle,
        future,
        (Act::Get, name),
        Ok(Parcel::default()),
    );
}

/// A property is set.
pub(super) fn set(shared: &Arc<Shared>, handle: i32, future: i32, name: &str, value: Value) {
    let value = Parcel::new(value, Vec::new());
    ask(shared, handle, future, (Act::Set, name), Ok(value));
}

fn ask(
    shared: &Arc<Shared>,
    handle: i32,
    future: i32,
    (act, name): (Act, &str),
    args: Result<Parcel, CallError>,
) {
    let unknown = || CallError::from(Code::UnknownMethod.because(UNKNOWN_METHOD));
    let target = shared.config.agent(handle).ok_or_else(unknown);
    let begun = target.and_then(|target| {
        let args = args?;
        let running = shared.begin()?;
        let proxy = shared.rpc.proxy(&target.node, &target.agent);
        // What is asked leaves in its order: before anything waits.
        Ok((
            running,
            proxy.ask(act, name, args).within(KAI_ANSWER_TIMEOUT),
        ))
    });
    match begun {
        Ok((running, asking)) => drop(tokio::spawn(async move {
            let result = asking.await;
            answer(running.shared(), future, act, result);
        })),
        Err(error) => answer(shared, future, act, Err(error)),
    }
}

fn answer(shared: &Shared, future: i32, act: Act, result: Result<Parcel, CallError>) {
    // No answer is wanted.
    if future == 0 {
        return;
    }
    let (outcome, error, result) = match result {
        Ok(parcel) => (Outcome::Returned, String::new(), parcel.value().clone()),
        Err(error) => {
            let (outcome, words) = in_words(act, &error);
            (outcome, words, Value::default())
        }
    };
    let message = Message::Response {
        future,
        outcome,
        error,
        result,
    };
    let unwritable = |_| {
        shared.say(&Message::Response {
            future,
            outcome: Outcome::BadRequest,
            error: UNWRITABLE.to_owned(),
            result: Value::default(),
        })
    };
    if let Err(failure) = shared.say(&message).or_else(unwritable) {
        tracing::debug!(target: MESSAGE, code = %failure.code, "a node of KAI is not answered");
    }
}

/// A failure as KAI has it.
fn in_words(act: Act, error: &CallError) -> (Outcome, String) {
    match error {
        CallError::Thrown(Thrown { message, .. }) => (Outcome::BadRequest, message.clone()),
        CallError::Failed(failure) if failure.code == Code::TimedOut => {
            (Outcome::TimedOut, failure.in_words())
        }
        CallError::Failed(failure) if failure.code == Code::UnknownMethod => {
            let words = match act {
                Act::Call => UNKNOWN_METHOD,
                _ => UNKNOWN_PROPERTY,
            };
            (Outcome::BadRequest, words.to_owned())
        }
        CallError::Failed(failure) => (Outcome::BadRequest, failure.in_words()),
    }
}

impl Outcome {
    /// What an answer of KAI brings.
    pub(super) fn into_result(self, error: &str, value: Value) -> Result<Parcel, CallError> {
        match self {
            Self::Returned => Ok(Parcel::new(value, Vec::new())),
            Self::TimedOut => Err(Code::TimedOut.because("it took too long there").into()),
            _ if [UNKNOWN_METHOD, UNKNOWN_PROPERTY].contains(&error) => {
                Err(Code::UnknownMethod.because(error).into())
            }
            _ => Err(Thrown::new("Error", error).into()),
        }
    }
}
