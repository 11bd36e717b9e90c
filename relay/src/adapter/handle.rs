//! Hardware as a program holds it: a handle that stays, whether its adapter is linked or not.

use futures_util::StreamExt;
use peerage::error::Code;
use peerage::node::Event;
use peerage::rpc::{CallError, Parcel, Rpc};
use peerage::service::operation::{Operations, Options, Unsuccessful};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::front::adapter::AGENT;

/// The hardware of a name. What is asked of it while it is not linked fails at once, as `unreachable`; what is
/// under way when it is lost ends as `interrupted`, and is not done again.
pub struct Hardware {
    rpc: Rpc,
    operations: Operations,
    name: String,
    linked: watch::Receiver<bool>,
    watching: AbortHandle,
}

impl Hardware {
    pub(crate) fn new(operations: Operations, name: &str) -> Self {
        let (rpc, name) = (operations.rpc().clone(), name.to_owned());
        let (tell, linked) = watch::channel(false);
        let watching = tokio::spawn(follow(rpc.clone(), name.clone(), tell)).abort_handle();
        Self {
            rpc,
            operations,
            name,
            linked,
            watching,
        }
    }

    /// Whether it is linked.
    pub fn is_linked(&self) -> bool {
        *self.linked.borrow()
    }

    /// Whether it is linked, and each change of that; who is slow sees the latest.
    pub fn linked(&self) -> watch::Receiver<bool> {
        self.linked.clone()
    }

    /// Calls a method of one of its interfaces.
    ///
    /// # Errors
    /// `unreachable`, `interrupted`, or why nothing came of it.
    pub async fn call<R>(
        &self,
        interface: &str,
        method: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<R, CallError>
    where
        R: DeserializeOwned,
    {
        if !self.is_linked() {
            return Err(Code::Unreachable
                .because("its adapter is not linked")
                .of(&self.name)
                .into());
        }
        let called = self
            .rpc
            .proxy(&self.name, interface)
            .call::<R>(method, args);
        called.await.map_err(interrupted)
    }

    /// Does one of its operations, to the end.
    ///
    /// # Errors
    /// As [`Hardware::call`]; as the operation itself ends.
    pub async fn run(
        &self,
        operation: &str,
        args: &(impl Serialize + ?Sized),
        options: Options,
    ) -> Result<Parcel, Unsuccessful> {
        if !self.is_linked() {
            let failure = Code::Unreachable.because("its adapter is not linked");
            return Err(failure.of(&self.name).into());
        }
        let done = self
            .operations
            .start(&self.name, operation, args, options)
            .await;
        done.map_err(|unsuccessful| match unsuccessful {
            Unsuccessful::Lost(error) => Unsuccessful::Lost(interrupted(error)),
            Unsuccessful::Fail { reason, data } => match Code::from_name(&reason) {
                Some(code) => code
                    .because(data.read::<String>().unwrap_or_default())
                    .into(),
                None => Unsuccessful::Fail { reason, data },
            },
            stopped => stopped,
        })
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// That its node went in the midst of something is the same as that it did.
fn interrupted(error: CallError) -> CallError {
    match error {
        CallError::Failed(failure) if matches!(failure.code, Code::Gone | Code::Left) => {
            let whose = failure.peer.clone().unwrap_or_default();
            Code::Interrupted.because(failure.message).of(whose).into()
        }
        other => other,
    }
}

/// Keeps what is known of a link true.
async fn follow(rpc: Rpc, name: String, tell: watch::Sender<bool>) {
    let mut events = rpc.node().events();
    loop {
        let mut changes = rpc.proxy(&name, AGENT).watch::<bool>("linked");
        while let Some(Ok(is_linked)) = changes.next().await {
            tell.send_replace(is_linked);
        }
        tell.send_replace(false);
        // Whoever is here by then is asked again.
        let is_news = |event: &Event| matches!(event, Event::PeerJoin(_) | Event::State(_));
        while !is_news(&events.next().await) {}
    }
}
