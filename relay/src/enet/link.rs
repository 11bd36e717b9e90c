//! Links of nodes over ENet: who calls says so first, and then packets go as on any link.

use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use peerage::NodeId;
use peerage::error::Code;
use peerage::link::frame::Packet as Frames;
use peerage::link::{Frame, LinkId, Origin};
use peerage::node::{Input, Medium};
use peerage_enet::{Packet, Reason};
use tokio::time::timeout;
use url::Url;

use crate::enet::{Gone, Peer, Sender};
use crate::link::{Inbox, Letter, address, outbox};
use crate::runtime::{Runtime, Told};

/// What a node says first that calls another.
pub(crate) const GREETING: &[u8] = b"peerage/link/1";
/// Where packets go that arrive.
const RELIABLE: u8 = 0;
/// Where packets go that need not.
const UNRELIABLE: u8 = 1;
const CHANNELS: u8 = 2;
/// How the payload of a record begins that need not arrive.
const UNRELIABLE_RECORD: u8 = 5;

/// Calls a node at an `enet:` address, which is told as `told`, and runs the link in a task.
pub(crate) async fn dial(runtime: &Runtime, url: &Url, told: &str) -> Result<(), String> {
    let in_words = |error: std::io::Error| error.to_string();
    let expected = address::node(url).map_err(|error| error.to_string())?;
    let mut reason = String::from("it has no address");
    for at in address::resolve(url).await.map_err(in_words)? {
        let called = timeout(runtime.dial_timeout, call(runtime, at)).await;
        let late = |_| format!("no answer within {:?}", runtime.dial_timeout);
        match called.map_err(late).and_then(|called| called) {
            Ok(peer) => {
                let claim = expected.map(|node| (node, url.clone()));
                let (runtime, told) = (runtime.clone(), told.to_owned());
                let links = runtime.links.clone();
                let begun = (claim, None);
                links.spawn(run_claimed(runtime, Origin::Dialled, peer, told, begun));
                return Ok(());
            }
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

/// A connection that was made, whose other end has spoken first.
pub(crate) struct Greeted {
    peer: Peer,
    url: Url,
    /// What it has said.
    pub(crate) first: Bytes,
}

/// Calls a node, and waits for its first word.
pub(crate) async fn greeted(runtime: &Runtime, url: &Url) -> Result<Greeted, String> {
    let mut reason = String::from("it has no address");
    let found = address::resolve(url).await;
    for at in found.map_err(|error| error.to_string())? {
        match call(runtime, at).await {
            Ok(mut peer) => {
                let first = peer.recv().await.map_err(Gone::in_words)?;
                let (url, first) = (url.clone(), first.1.bytes);
                return Ok(Greeted { peer, url, first });
            }
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

impl Greeted {
    /// Runs the link in a task; its address is told as `told`.
    pub(crate) fn run(self, runtime: &Runtime, told: &str) {
        let Self { peer, url, first } = self;
        let claim = address::node(&url).ok().flatten();
        let begun = (claim.map(|node| (node, url)), Some(first));
        let link = run_claimed(
            runtime.clone(),
            Origin::Dialled,
            peer,
            told.to_owned(),
            begun,
        );
        runtime.links.spawn(link);
    }
}

async fn call(runtime: &Runtime, address: SocketAddr) -> Result<Peer, String> {
    let port = runtime
        .enet
        .to(address)
        .map_err(|error| error.to_string())?;
    let called = port.connect(address, CHANNELS, 0).await;
    let peer = called.map_err(|error| error.to_string())?;
    let greeted = peer.sender().send(RELIABLE, Bytes::from_static(GREETING));
    greeted.await.map_err(|gone| gone.in_words())?;
    Ok(peer)
}

/// Runs a link until it ends.
pub(crate) async fn run(runtime: Runtime, origin: Origin, peer: Peer, address: String) {
    run_claimed(runtime, origin, peer, address, (None, None)).await;
}

/// As [`run`]; `claim` is who must be at the other end, and the address that says so; `first` what has come already.
async fn run_claimed(
    runtime: Runtime,
    origin: Origin,
    mut peer: Peer,
    address: String,
    (claim, first): (Option<(NodeId, Url)>, Option<Bytes>),
) {
    let id = runtime.new_link();
    let (outbox, inbox) = outbox();
    if !runtime.tell(Told::Link(id, origin, outbox)).await {
        return;
    }
    let place = Input::Place(id, Medium::Enet, Some(address));
    runtime.tell(Told::Input(place)).await;
    if let Some((node, url)) = claim {
        runtime.tell(Told::Claim(id, node, url)).await;
    }
    if let Some(first) = first {
        runtime.tell_packet(id, first).await;
    }
    let sender = peer.sender().clone();
    let closed = {
        let writing = pin!(write(&runtime, id, &sender, inbox));
        let reading = pin!(read(&runtime, id, &mut peer));
        match select(writing, reading).await {
            Either::Left((closed, _)) => closed,
            Either::Right((gone, _)) => Err(gone),
        }
    };
    let reason = match closed {
        Ok(data) => {
            peer.close(data);
            String::from("the link was closed")
        }
        Err(gone) => gone.in_words(),
    };
    runtime.tell(Told::Input(Input::LinkDown(id, reason))).await;
}

async fn read(runtime: &Runtime, id: LinkId, peer: &mut Peer) -> Gone {
    loop {
        match peer.recv().await {
            Ok((_, packet)) => {
                if !runtime.tell_packet(id, packet.bytes).await {
                    return Gone::HERE;
                }
            }
            Err(gone) => return gone,
        }
    }
}

/// Sends until the link is closed here, and tells with which word.
async fn write(
    runtime: &Runtime,
    id: LinkId,
    sender: &Sender,
    mut inbox: Inbox,
) -> Result<u32, Gone> {
    while let Some((letter, ready)) = inbox.next().await {
        match letter {
            Letter::Packet(packet) if need_not_arrive(&packet) => {
                sender
                    .send_packet(UNRELIABLE, Packet::unreliable(packet))
                    .await?;
            }
            Letter::Packet(packet) => sender.send(RELIABLE, packet).await?,
            Letter::Close(failure) => return Ok(word(failure.code)),
        }
        if ready {
            runtime.tell(Told::Input(Input::Writable(id, true))).await;
        }
    }
    Ok(0)
}

/// Whether all of a packet's frames are records that need not arrive.
fn need_not_arrive(packet: &Bytes) -> bool {
    Frames::new(packet.clone()).all(|frame| match frame {
        Ok((Frame::Record { payload, .. }, _)) => payload.first() == Some(&UNRELIABLE_RECORD),
        _ => false,
    })
}

/// What is said with a disconnect: nothing, or the number of a failure's code and one.
fn word(code: Code) -> u32 {
    u32::from(code.number()) + 1
}

impl Gone {
    fn in_words(self) -> String {
        let word = self.data.checked_sub(1);
        let code = word.map(|number| Code::from_number(number.into()).as_str());
        match (self.reason, code) {
            (Reason::ByPeer, Some(code)) => format!("ended there: {code}"),
            (Reason::ByPeer, None) => String::from("ended there"),
            (Reason::TimedOut, _) => String::from("no sign of life"),
            (Reason::Refused, _) => String::from("refused there"),
            (Reason::Asked, _) => String::from("the link was closed"),
            (Reason::Crowded, _) => String::from("it left no room for others"),
            (Reason::Protocol, _) => String::from("what is there speaks no ENet"),
        }
    }
}
