//! What a program asks for, by its own numbers, from the question to the last word on it.

use peerage::Failure;
use peerage::error::Code;
use peerage::service::operation::StopKind;

use super::asking::Asking;
use super::asks;
use super::wire::{Wish, failed};
use crate::front::held::Held;
use crate::front::out::Out;

/// Requests of a program, which end when this is dropped.
#[derive(Default)]
pub(crate) struct Requests(Asking);

impl Requests {
    /// Checks that a number is not in use.
    ///
    /// # Errors
    /// `bad-message` if it is.
    pub(super) fn check(&self, id: u32) -> Result<(), Failure> {
        self.0.check(id)
    }

    /// Begins one, and sees to its answer.
    ///
    /// # Errors
    /// What ends the conversation.
    pub(crate) fn ask(&self, held: &Held, out: &Out, id: u32, what: Wish) -> Result<(), Failure> {
        self.check(id)?;
        let (ticket, stops) = match self.0.begin(id) {
            Ok(begun) => begun,
            Err(failure) => return out.push(failed(id, &failure.into())?),
        };
        // What is asked leaves in its order: before anything waits.
        let working = asks::begin(held, ticket, what, out.clone(), stops);
        let task = tokio::spawn(working);
        self.0.attend(id, task.abort_handle());
        Ok(())
    }

    /// The program wants no more of one.
    ///
    /// # Errors
    /// What ends the conversation.
    pub(crate) fn cancel(&self, out: &Out, id: u32) -> Result<(), Failure> {
        let cancelled = Code::Cancelled.because("it was given up");
        let last = failed(id, &cancelled.into())?;
        self.0.cancel(id, || out.push(last))
    }

    /// Tells an operation that the program has started to stop.
    ///
    /// # Errors
    /// `bad-message` if it is not said how.
    pub(crate) fn stop(&self, id: u32, kind: &str, reason: String) -> Result<(), Failure> {
        let kind = match kind {
            "cancel" => StopKind::Cancel,
            "abort" => StopKind::Abort,
            other => {
                let message = format!("expected `cancel` or `abort`, got `{other}`");
                return Err(Code::BadMessage.because(message));
            }
        };
        self.0.stop(id, kind, reason);
        Ok(())
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.0.end();
    }
}
