//! Anything else that speaks ENet, as it is: `peerage/enet-raw/1`. A server that the configuration names is a
//! node, and each stream to it a connection; a client that comes is a node with a stream to the one that
//! the configuration names. `docs/protocol.md` has the messages.

mod datagrams;
mod wire;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use peerage::error::Code;
use peerage::limits::{DATAGRAM_BYTES_MAX, RAW_CONNECT_TIMEOUT, RAW_CONNECTIONS_MAX, RAW_LINGER};
use peerage::log::CONNECTION;
use peerage::node::Stream;
use peerage::{Failure, Kind, Name};
use peerage_enet::Packet;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::config::RawServer;
use crate::enet::{Gone, Peer, Sender};
use crate::front::enet::{CALL_AGAIN, First, Front};
use crate::front::held::Held;
use datagrams::{Datagrams, Route};
use wire::{FromFront, ToFront};

/// The protocol's id.
pub(super) const PROTOCOL: &str = "peerage/enet-raw/1";
/// What a client is told with a disconnect for which there is no node.
const NO_TARGET: u32 = 0x5045_0002;

/// Lets a server be reached as a node, for as long as this process runs.
pub(super) async fn serve(front: Front, server: RawServer) {
    loop {
        match front
            .0
            .holder
            .hold(Kind::Enet, Some(server.name.clone()))
            .await
        {
            Ok(held) => accept(&front, &server, Arc::new(held)).await,
            Err(error) => {
                tracing::debug!(target: CONNECTION, %error, "no node is held for a server of ENet");
            }
        }
        sleep(CALL_AGAIN).await;
    }
}

async fn accept(front: &Front, server: &RawServer, held: Arc<Held>) {
    let mut listener = held.listen(PROTOCOL);
    let datagrams = Datagrams::new(held.clone());
    let room = Arc::new(Semaphore::new(RAW_CONNECTIONS_MAX));
    while let Some(stream) = listener.accept().await {
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            let message = format!("{RAW_CONNECTIONS_MAX} connections are there already");
            stream.reset(Code::Overloaded.because(message));
            continue;
        };
        let (front, server, datagrams) = (front.clone(), server.clone(), datagrams.clone());
        tokio::spawn(async move {
            if let Err(failure) = carry_to(&front, &server, &stream, &datagrams).await {
                stream.reset(failure);
            }
            drop(place);
        });
    }
}

/// Carries what is said on a stream to the server, and back.
async fn carry_to(
    front: &Front,
    server: &RawServer,
    stream: &Stream,
    datagrams: &Datagrams,
) -> Result<(), Failure> {
    let first = timeout(RAW_CONNECT_TIMEOUT, stream.recv()).await;
    let first = first.map_err(|_| Code::TimedOut.because("expected `connect`"))??;
    let first = first.map(|message| ToFront::read(&message)).transpose()?;
    let Some(ToFront::Connect { data }) = first else {
        return Err(Code::BadMessage.because("expected `connect` first"));
    };
    let unreachable = |error: String| Code::Unreachable.because(error);
    let port = front.0.runtime.enet.to(server.address);
    let port = port.map_err(|error| unreachable(error.to_string()))?;
    let called = port.connect(server.address, server.channels, data).await;
    let peer = called.map_err(|error| unreachable(error.to_string()))?;
    carry(stream, peer, datagrams, None).await
}

/// Speaks for a client that has come.
pub(super) async fn run(front: Front, peer: Peer, first: First) {
    // Whatever goes wrong from here on: the node that it came for is not there.
    let peer = peer.or_else(NO_TARGET);
    let Some(target) = &front.0.config.raw.target else {
        return;
    };
    let held = front
        .0
        .holder
        .hold(Kind::Enet, name_of(peer.about.address))
        .await;
    let Ok(held) = held.map(Arc::new) else {
        return;
    };
    let datagrams = Datagrams::new(held.clone());
    let carried = carry_from(&held, target, peer, &datagrams, first).await;
    if let Err(failure) = carried {
        tracing::debug!(target: CONNECTION, code = %failure.code, "a client of ENet is carried no more");
    }
}

async fn carry_from(
    held: &Held,
    target: &Name,
    peer: Peer,
    datagrams: &Datagrams,
    first: First,
) -> Result<(), Failure> {
    let itself = || Code::Refused.because("expected another node");
    let target = held.resolve(target.as_str()).await?.ok_or_else(itself)?;
    let stream = held.open(target, PROTOCOL)?;
    let carried = carry(&stream, peer, datagrams, first).await;
    match &carried {
        Err(failure) => stream.reset(failure.clone()),
        // The node of the client is here for as long as its last words are on their way.
        Ok(()) => {
            let over = async { while let Ok(Some(_)) = stream.recv().await {} };
            let _ = timeout(RAW_LINGER, over).await;
        }
    }
    carried
}

/// Carries what is said on a stream to a connection, and back, until either ends.
async fn carry(
    stream: &Stream,
    mut peer: Peer,
    datagrams: &Datagrams,
    first: First,
) -> Result<(), Failure> {
    let route = datagrams.route(stream.peer(), &peer)?;
    let connected = FromFront::Connected {
        number: route.number(),
        channels: peer.about.channels,
        data: peer.about.data,
    };
    stream.send(connected.bytes()).await?;
    let (sender, channels) = (peer.sender().clone(), peer.about.channels);
    let ended = {
        let out = pin!(send(stream, &sender, channels));
        let back = pin!(receive(stream, &mut peer, &route, first));
        match select(out, back).await {
            Either::Left((asked, _)) => Ok(asked?),
            Either::Right((gone, _)) => Err(gone?),
        }
    };
    match ended {
        Ok(data) => peer.close(data),
        Err(Gone { data, .. }) => {
            stream
                .send(FromFront::Disconnected { data }.bytes())
                .await?;
            stream.finish();
        }
    }
    Ok(())
}

/// Sends what comes by a stream, until that ends; the word of the disconnect.
async fn send(stream: &Stream, to: &Sender, channels: u8) -> Result<u32, Failure> {
    while let Some(message) = stream.recv().await? {
        match ToFront::read(&message)? {
            ToFront::Connect { .. } => {
                return Err(Code::BadMessage.because("expected `connect` once"));
            }
            ToFront::Packet { channel, .. } if channel >= channels => {
                let message = format!("expected a channel below {channels}, got {channel}");
                return Err(Code::BadMessage.because(message));
            }
            ToFront::Packet { channel, packet } => {
                let sent = to.send_packet(channel, packet).await;
                if sent.is_err() {
                    // What has been received is still to be told.
                    core::future::pending::<()>().await;
                }
            }
            ToFront::Disconnect { data } => return Ok(data),
        }
    }
    Ok(0)
}

/// Tells what comes by a connection, until that ends.
async fn receive(
    stream: &Stream,
    peer: &mut Peer,
    route: &Route,
    first: First,
) -> Result<Gone, Failure> {
    let mut next = first;
    loop {
        if let Some((channel, packet)) = next {
            tell(stream, route, channel, packet).await?;
        }
        match peer.recv().await {
            Ok(packet) => next = Some(packet),
            Err(gone) => return Ok(gone),
        }
    }
}

async fn tell(stream: &Stream, route: &Route, channel: u8, packet: Packet) -> Result<(), Failure> {
    let is_reliable = packet.kind == peerage_enet::Kind::Reliable;
    let message = FromFront::Packet { channel, packet };
    if is_reliable {
        return stream.send(message.bytes()).await;
    }
    let datagram = message.datagram(route.number());
    match datagram.len() <= DATAGRAM_BYTES_MAX {
        true => route.send(datagram),
        // It is too long for a datagram, and need not arrive before what is sent after it.
        false => stream.send(message.bytes()).await,
    }
}

/// The name of a client: where it comes from.
fn name_of(address: SocketAddr) -> Option<Name> {
    let words = address.ip().to_canonical().to_string().replace(':', "-");
    format!("enet-{words}").parse().ok()
}
