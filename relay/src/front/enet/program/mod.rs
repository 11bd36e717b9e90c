//! Small programs: with nothing but ENet and a few messages in CBOR, each on channel 0 and reliable, they are
//! nodes, as far as others can tell. `docs/protocol.md` has the messages.

mod agent;
mod asks;
mod desk;
mod session;
mod wire;

use bytes::Bytes;
use peerage::error::Code;
use peerage::limits::PROGRAM_HELLO_TIMEOUT;
use peerage::log::CONNECTION;
use peerage::{Failure, Kind, Name};
use tokio::time::timeout;

use crate::JoinError;
use crate::enet::{Gone, Peer};
use crate::front::enet::{First, Front, say_all};
use crate::front::held::Held;
use crate::front::out::{Out, out};
use session::Session;
use wire::{Said, VERSION, of, say};

/// Whether something begins as a small program does.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    bytes.starts_with(&wire::TAG)
}

/// Speaks for a program until its connection ends.
pub(super) async fn run(front: Front, mut peer: Peer, first: First) {
    let (out, unsaid) = out();
    let saying = tokio::spawn(say_all(unsaid, peer.sender().clone()));
    let welcomed = timeout(PROGRAM_HELLO_TIMEOUT, welcome(&front, first)).await;
    let welcomed = welcomed.unwrap_or_else(|_| Err(Code::TimedOut.because("the mesh is slow")));
    match welcomed {
        Ok(held) => {
            let why = converse(&mut peer, &out, held).await;
            tracing::debug!(target: CONNECTION, code = %why.code, "a small program has gone");
        }
        Err(failure) => refuse(&out, &failure).await,
    }
    out.finish();
    // It ends when all is said, or the connection has ended.
    let _ = saying.await;
}

/// Holds a node for who has said hello.
async fn welcome(front: &Front, first: First) -> Result<Held, Failure> {
    let said = first
        .map(|(_, packet)| wire::read(&packet.bytes))
        .transpose()?;
    let Some(Said::Hello { version, name }) = said else {
        return Err(Code::BadMessage.because("expected `hello` first"));
    };
    if version != VERSION {
        let message = format!("expected version {VERSION}, got {version}");
        return Err(Code::IncompatibleVersion.because(message));
    }
    let name: Option<Name> = name
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: peerage::id::NameError| Code::BadMessage.because(error.to_string()))?;
    let held = front.0.holder.hold(Kind::Enet, name).await;
    held.map_err(|error| match error {
        JoinError::Failed(failure) => failure,
        other => Code::Refused.because(other.to_string()),
    })
}

/// Hears what the program says, until it goes or says what cannot be understood.
async fn converse(peer: &mut Peer, out: &Out, held: Held) -> Failure {
    let name = held.name().map(|name| name.to_string());
    let welcome = say("welcome", [of(&name), of(&held.id().to_string())]);
    if let Err(failure) = welcome.and_then(|bytes| out.push(bytes)) {
        return failure;
    }
    let mut session = Session::new(held, out.clone());
    loop {
        let bytes: Bytes = match peer.recv().await {
            Ok((_, packet)) => packet.bytes,
            Err(gone) => {
                session.end(is_good_bye(gone));
                return Code::Gone.because("its connection has ended");
            }
        };
        let heard = wire::read(&bytes).and_then(|said| session.hear(said));
        if let Err(failure) = heard {
            refuse(out, &failure).await;
            session.end(true);
            return failure;
        }
    }
}

/// Whether a program has ended its connection itself.
fn is_good_bye(gone: Gone) -> bool {
    gone.reason == peerage_enet::Reason::ByPeer
}

/// The last message.
async fn refuse(out: &Out, failure: &Failure) {
    let (code, message) = (failure.code.as_str(), failure.in_words());
    if let Ok(bytes) = say("refused", [of(code), of(&message)]) {
        // Who is gone need not know.
        let _ = out.put(bytes).await;
    }
}
