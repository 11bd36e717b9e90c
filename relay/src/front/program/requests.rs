//! What a program has asked for and is not over: by its own numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use peerage::Failure;
use peerage::error::Code;
use peerage::limits::PROGRAM_REQUESTS_MAX;
use peerage::service::operation::StopKind;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::asks;
use super::wire::{Wish, failed};
use crate::front::held::Held;
use crate::front::out::Out;

/// Requests of a program, which end when this is dropped.
#[derive(Default)]
pub(crate) struct Requests(Asking);

type Asking = Arc<Mutex<HashMap<u32, Ask>>>;

/// A request of the program.
struct Ask {
    task: Option<AbortHandle>,
    /// Where an operation is told to stop.
    stop: mpsc::UnboundedSender<(StopKind, String)>,
}

impl Requests {
    /// Begins one, and sees to its answer.
    ///
    /// # Errors
    /// What ends the conversation.
    pub(crate) fn ask(&self, held: &Held, out: &Out, id: u32, what: Wish) -> Result<(), Failure> {
        let (stop, stopped) = mpsc::unbounded_channel();
        {
            let mut asking = lock(&self.0);
            if asking.contains_key(&id) {
                let message = format!("request {id} is not over yet");
                return Err(Code::BadMessage.because(message));
            }
            if asking.len() >= PROGRAM_REQUESTS_MAX {
                let message = format!("expected at most {PROGRAM_REQUESTS_MAX} requests at once");
                let failure = Code::Overloaded.because(message);
                drop(asking);
                return out.push(failed(id, &failure.into())?);
            }
            asking.insert(id, Ask { task: None, stop });
        }
        // What is asked leaves in its order: before anything waits.
        let working = asks::begin(held, id, what, out.clone(), stopped);
        let asking = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            working.await;
            lock(&asking).remove(&id);
        });
        if let Some(ask) = lock(&self.0).get_mut(&id) {
            ask.task = Some(task.abort_handle());
        }
        Ok(())
    }

    /// The program wants no more of one.
    pub(crate) fn cancel(&self, id: u32) {
        let ask = lock(&self.0).remove(&id);
        if let Some(task) = ask.and_then(|ask| ask.task) {
            task.abort();
        }
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
        if let Some(ask) = lock(&self.0).get(&id) {
            // It may be over.
            let _ = ask.stop.send((kind, reason));
        }
        Ok(())
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let asking = std::mem::take(&mut *lock(&self.0));
        for task in asking.into_values().filter_map(|ask| ask.task) {
            task.abort();
        }
    }
}

fn lock(asking: &Asking) -> MutexGuard<'_, HashMap<u32, Ask>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}
