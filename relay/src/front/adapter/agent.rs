//! An interface of an adapter, as the mesh sees it: held to its schema, in both directions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::limits::PROGRAM_VALUES_BYTES_MAX;
use peerage::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request, Signature};
use peerage::service::operation::{Unsuccessful, Work};
use peerage::{Code, Failure};
use peerage_tau::{Long, Method, Shape};

use super::link::Link;
use crate::adapter::schema::Schema;
use crate::front::program::caller;
use crate::front::program::wire::{has_reference, of};

/// An interface, linked or not. Its properties have the values that the adapter told last.
pub(super) struct Offered {
    pub(super) schema: Arc<Schema>,
    link: Arc<Link>,
    values: Mutex<BTreeMap<String, (Parcel, usize)>>,
}

impl Offered {
    pub(super) fn new(schema: Arc<Schema>, link: Arc<Link>) -> Self {
        let values = Mutex::default();
        Self {
            schema,
            link,
            values,
        }
    }

    /// Takes the value of a property.
    ///
    /// # Errors
    /// `bad-message` if it is none, `too-large` if all values together are too much.
    pub(super) fn set(&self, name: &str, value: Parcel) -> Result<(), Failure> {
        let property = self
            .schema
            .property(name)
            .ok_or_else(|| self.not("property", name))?;
        self.schema.check(name, &property.shape, &value)?;
        let bytes = value.value().weight();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let others = values.iter().filter(|(known, _)| *known != name);
        let all = others.map(|(_, (_, bytes))| bytes).sum::<usize>() + bytes;
        if all > PROGRAM_VALUES_BYTES_MAX {
            let most = PROGRAM_VALUES_BYTES_MAX;
            let message = format!("expected values of at most {most} bytes in all, got {all}");
            return Err(Code::TooLarge.because(message));
        }
        values.insert(name.to_owned(), (value, bytes));
        Ok(())
    }

    /// Whether an event is one of these.
    ///
    /// # Errors
    /// `bad-message` if it is not.
    pub(super) fn check_event(&self, name: &str, detail: &Parcel) -> Result<(), Failure> {
        let mut events = self.schema.interface.events.iter();
        let event = events.find(|(event, _)| event == name);
        let (_, details) = event.ok_or_else(|| self.not("event", name))?;
        self.schema.check_record(name, details, detail)
    }

    fn not(&self, what: &str, name: &str) -> Failure {
        let interface = self.schema.name();
        Code::BadMessage.because(format!("expected {what} of `{interface}`, got `{name}`"))
    }

    fn answer(&self, request: Request<'_>) -> Result<Handling, CallError> {
        let Request {
            act,
            name,
            args,
            trace,
            ..
        } = request;
        let (who, interface) = (caller(request.caller), of(self.schema.name()));
        let unknown = || self.schema.offered().unknown(act, name);
        check_references(&args)?;
        match act {
            Act::Call => {
                let method = self.schema.method(name).ok_or_else(unknown)?;
                if method.long == Long::Yes {
                    let message = format!("`{name}` takes long: it is started as an operation");
                    return Err(Code::UnknownMethod.because(message).into());
                }
                self.schema.check_arguments(method, &args)?;
                let fields = |id| [id, interface, of(name), args, who];
                let asking = self.link.desk()?.ask("call", trace, fields);
                Ok(self.checked(asking, name, method.returns.clone()))
            }
            Act::Set => {
                let property = self.schema.property(name).ok_or_else(unknown)?;
                if property.is_constant {
                    let message = format!("`{name}` cannot be set");
                    return Err(Code::Refused.because(message).into());
                }
                self.schema.check(name, &property.shape, &args)?;
                let fields = |id| [id, interface, of(name), args, who];
                Ok(self.link.desk()?.ask("set", trace, fields))
            }
            Act::Get | Act::Watch => {
                self.schema.property(name).ok_or_else(unknown)?;
                if act == Act::Get {
                    self.link.desk()?;
                }
                let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
                let value = values.get(name).map(|(value, _)| value.clone());
                Ok(Box::pin(core::future::ready(Ok(value.unwrap_or_default()))))
            }
            _ => Err(unknown()),
        }
    }

    /// What comes of a call, if it is as the schema says.
    fn checked(&self, asking: Handling, name: &str, shape: Shape) -> Handling {
        let (schema, name) = (Arc::clone(&self.schema), name.to_owned());
        Box::pin(async move {
            let value = asking.await?;
            schema.check(&name, &shape, &value)?;
            Ok(value)
        })
    }
}

impl Agent for Offered {
    fn interface(&self) -> Interface {
        self.schema.offered()
    }

    fn signatures(&self) -> Vec<Signature> {
        self.schema.signatures()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = self.answer(request);
        answer.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

/// Does an operation of an adapter. Whatever goes wrong, its reason begins with the word for it.
pub(super) async fn operate(
    schema: Arc<Schema>,
    method: Method,
    link: Arc<Link>,
    work: Work,
) -> Result<Parcel, Unsuccessful> {
    let name = method.name;
    let begin = || {
        check_references(work.args_parcel())?;
        schema.check_record(&name, &method.parameters, work.args_parcel())?;
        link.desk()
    };
    let desk = begin().map_err(failed)?;
    let trace = work.trace();
    match desk.run(name.clone(), trace, work).await {
        Ok(value) => {
            schema
                .check(&name, &method.returns, &value)
                .map_err(failed)?;
            Ok(value)
        }
        Err(Unsuccessful::Lost(CallError::Failed(failure))) => Err(failed(failure)),
        Err(unsuccessful) => Err(unsuccessful),
    }
}

fn check_references(value: &Parcel) -> Result<(), Failure> {
    match has_reference(value.value()) {
        true => Err(Code::BadMessage.because("references do not travel to hardware")),
        false => Ok(()),
    }
}

/// A failure as an operation's: its code as the reason.
fn failed(failure: Failure) -> Unsuccessful {
    Unsuccessful::Fail {
        reason: failure.code.as_str().to_owned(),
        data: of(&failure.message),
    }
}
