//! Links within this process: a packet that is left at one side is told to the other. They begin, hold up
//! and end as those over a network do.

use std::pin::pin;

use futures_util::future::{Either, select};
use peerage::Failure;
use peerage::error::Code;
use peerage::link::{LinkId, Origin};
use peerage::node::Input;

use crate::link::{Inbox, Letter, outbox};
use crate::runtime::{Runtime, Told};

/// One side of a link.
struct Side {
    runtime: Runtime,
    id: LinkId,
    inbox: Inbox,
}

/// Lets a node call another of this process, and runs the link in a task.
pub(crate) async fn dial(caller: &Runtime, called: &Runtime) -> Result<(), String> {
    let gone = || String::from("the node has left");
    let there = Side::open(called, Origin::Accepted).await;
    let there = there.ok_or_else(gone)?;
    match Side::open(caller, Origin::Dialled).await {
        Some(here) => drop(caller.links.spawn(run(here, there))),
        None => there.tell_down("the caller has left").await,
    }
    Ok(())
}

async fn run(mut here: Side, mut there: Side) {
    let (near, far) = (here.address(), there.address());
    let reason = {
        let out = pin!(carry(&mut here.inbox, &near, &far));
        let back = pin!(carry(&mut there.inbox, &far, &near));
        match select(out, back).await {
            Either::Left((reason, _)) | Either::Right((reason, _)) => reason,
        }
    };
    // Each side may be the one that has ended it.
    here.tell_down(&reason.message).await;
    there.tell_down(&reason.message).await;
}

/// Carries packets one way until the link ends there.
async fn carry(inbox: &mut Inbox, from: &(Runtime, LinkId), to: &(Runtime, LinkId)) -> Failure {
    while let Some((letter, ready)) = inbox.next().await {
        match letter {
            Letter::Packet(packet) => {
                if !to.0.tell_packet(to.1, packet).await {
                    return Code::Gone.because("the other node is no more");
                }
            }
            Letter::Close(failure) => return *failure,
        }
        if ready {
            let writable = Input::Writable(from.1, true);
            from.0.tell(Told::Input(writable)).await;
        }
    }
    Code::Gone.because("the link was closed")
}

impl Side {
    /// Tells the loop of a link; `None` if it is no more.
    async fn open(runtime: &Runtime, origin: Origin) -> Option<Self> {
        let id = runtime.new_link();
        let (outbox, inbox) = outbox();
        let told = runtime.tell(Told::Link(id, origin, outbox)).await;
        told.then(|| Self {
            runtime: runtime.clone(),
            id,
            inbox,
        })
    }

    fn address(&self) -> (Runtime, LinkId) {
        (self.runtime.clone(), self.id)
    }

    async fn tell_down(&self, reason: &str) {
        let down = Input::LinkDown(self.id, reason.to_owned());
        self.runtime.tell(Told::Input(down)).await;
    }
}
