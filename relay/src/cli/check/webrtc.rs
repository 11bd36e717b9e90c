//! Whether a relay tells how one is seen, lends an address, and takes a data channel: each tried as a tab would, by one
//! UDP socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use peerage::limits::{STUN_TIMEOUT, WEBRTC_OPEN_TIMEOUT};
use peerage::service::signal::ice::{self, Server};
use peerage::service::signal::{PROTOCOL, Signal};
use peerage::{Config, Kind, Node};
use str0m::change::SdpAnswer;
use str0m::channel::ChannelConfig;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use stun_types::attribute::{AttributeWrite, ErrorCode, Nonce, Realm, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageWrite, MessageWriteExt,
    MessageWriteVec, Method,
};
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout, timeout_at};
use turn_types::attribute::{Lifetime, RequestedTransport, XorRelayedAddress};
use turn_types::message::{ALLOCATE, REFRESH};
use url::Url;

use crate::Runtime;
use crate::discovery::Discovery;

/// How often a question is put until there is an answer.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Bytes of a datagram that is read.
const DATAGRAM_BYTES_MAX: usize = 2048;
/// UDP, as a protocol of IP.
const UDP: u8 = 17;
/// How long the node that tries may take until it is a member.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// What was tried, what came of it or why nothing did, and how long it took.
pub(super) type Tried = (&'static str, Result<String, String>, Duration);

/// Tries all of it with the relay at an address.
pub(super) async fn check(relay: &Url) -> Vec<Tried> {
    let start = Instant::now();
    let joined = Guest::join(relay).await;
    let guest = match joined {
        Ok(guest) => guest,
        Err(reason) => return vec![("stun", Err(reason), start.elapsed())],
    };
    let start = Instant::now();
    let mut tried = vec![("stun", guest.seen().await, start.elapsed())];
    let start = Instant::now();
    tried.push(("turn", guest.allocate().await, start.elapsed()));
    let start = Instant::now();
    let opened = timeout(WEBRTC_OPEN_TIMEOUT, guest.open()).await;
    let opened = opened.unwrap_or_else(|_| Err(String::from("it took too long")));
    tried.push(("webrtc", opened, start.elapsed()));
    guest.node.close();
    guest.runtime.finished().await;
    tried
}

/// A member of the relay's zone that offers links, as tabs do.
struct Guest {
    node: Node,
    runtime: Runtime,
    server: Server,
    at: SocketAddr,
    /// The socket's address, as the relay is reached from it.
    here: SocketAddr,
    socket: UdpSocket,
}

impl Guest {
    async fn join(relay: &Url) -> Result<Self, String> {
        let config = Config::new(Kind::Browser);
        let started = Runtime::start(config, vec![relay.clone()], Discovery::default());
        let (node, runtime) = started.map_err(|error| error.to_string())?;
        let online = timeout(JOIN_PATIENCE, node.online(false)).await;
        let online = online.map_err(|_| String::from("no answer in time"))?;
        online.map_err(|failure| failure.to_string())?;
        let uplink = node.uplink().ok_or("there is no relay")?;
        let server = ice::ask(&node, uplink).await;
        let server = server.map_err(|failure| failure.to_string())?;
        let host = server.host.as_deref().or(relay.host_str());
        let host = host.unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((host, server.port)).await;
        let found = found.map_err(|error| error.to_string())?.next();
        let at = found.ok_or("the relay's host has no address")?;
        let any: IpAddr = match at {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(in_words)?;
        // To connect sends nothing: it asks the system for the way.
        let probe = UdpSocket::bind((any, 0)).await.map_err(in_words)?;
        probe.connect(at).await.map_err(in_words)?;
        let ip = probe.local_addr().map_err(in_words)?.ip();
        let port = socket.local_addr().map_err(in_words)?.port();
        Ok(Self {
            node,
            runtime,
            server,
            at,
            here: SocketAddr::new(ip, port),
            socket,
        })
    }

    /// By which address it is seen.
    async fn seen(&self) -> Result<String, String> {
        let question = Message::builder_request(BINDING, MessageWriteVec::new());
        let answer = self.ask(question).await?;
        let answer = read(&answer)?;
        let seen = answer.attribute::<XorMappedAddress>();
        let seen = seen.map_err(|_| String::from("the answer has no address"))?;
        let seen = seen.addr(answer.transaction_id());
        Ok(format!("seen as {seen}"))
    }

    /// Has an address lent, and gives it back.
    async fn allocate(&self) -> Result<String, String> {
        if self.server.turn.is_none() {
            return Err(String::from("the relay lends no addresses"));
        }
        let udp = RequestedTransport::new(UDP);
        let challenge = self.ask(request(ALLOCATE, &[&udp])?).await?;
        let challenge = read(&challenge)?;
        let nonce = challenge.attribute::<Nonce>();
        let realm = challenge.attribute::<Realm>();
        let (Ok(nonce), Ok(realm)) = (nonce, realm) else {
            return Err(String::from("the server has not asked for a credential"));
        };
        let said = (realm.realm(), nonce.nonce());
        let answer = self
            .ask(self.signed(request(ALLOCATE, &[&udp])?, said)?)
            .await?;
        let answer = read(&answer)?;
        if let Ok(error) = answer.attribute::<ErrorCode>() {
            return Err(format!("refused with {} {}", error.code(), error.reason()));
        }
        let lent = answer.attribute::<XorRelayedAddress>();
        let lent = lent.map_err(|_| String::from("the answer has no address"))?;
        let lent = lent.addr(answer.transaction_id());
        let over = Lifetime::new(0);
        self.ask(self.signed(request(REFRESH, &[&over])?, said)?)
            .await?;
        Ok(format!("reached at {lent}"))
    }

    /// Signs a request with the credential that the relay has given.
    fn signed(
        &self,
        mut request: MessageWriteVec,
        (realm, nonce): (&str, &str),
    ) -> Result<MessageWriteVec, String> {
        let Some(credential) = &self.server.turn else {
            return Err(String::from("there is no credential"));
        };
        let name = Username::new(&credential.name).map_err(in_words)?;
        request.add_attribute(&name).map_err(in_words)?;
        let of = Realm::new(realm).map_err(in_words)?;
        request.add_attribute(&of).map_err(in_words)?;
        let nonce = Nonce::new(nonce).map_err(in_words)?;
        request.add_attribute(&nonce).map_err(in_words)?;
        let (name, password) = (credential.name.clone(), credential.password.clone());
        let key = LongTermKeyCredentials::new(name, password, realm.to_owned());
        let signed = request.add_message_integrity(&key.into(), IntegrityAlgorithm::Sha1);
        signed.map_err(in_words)?;
        Ok(request)
    }

    /// Puts a question until it is answered.
    async fn ask(&self, question: MessageWriteVec) -> Result<Vec<u8>, String> {
        let transaction = question.transaction_id();
        let question = question.finish();
        let answered = async {
            let mut buffer = [0; DATAGRAM_BYTES_MAX];
            loop {
                // The network may say at once that nobody is there; the time is for others.
                let _ = self.socket.send_to(&question, self.at).await;
                let again = Instant::now() + ASK_AGAIN;
                while let Ok(Ok((len, _))) =
                    timeout_at(again.into(), self.socket.recv_from(&mut buffer)).await
                {
                    let answer = Message::from_bytes(&buffer[..len]);
                    let is_it = |answer: Message<'_>| {
                        answer.is_response() && answer.transaction_id() == transaction
                    };
                    if answer.is_ok_and(is_it) {
                        return buffer[..len].to_vec();
                    }
                }
                // An error may have come at once.
                sleep_until(again.into()).await;
            }
        };
        let late = |_| format!("no answer from {} within {STUN_TIMEOUT:?}", self.at);
        timeout(STUN_TIMEOUT, answered).await.map_err(late)
    }

    /// Opens a data channel to the relay.
    async fn open(&self) -> Result<String, String> {
        let relay = self.node.uplink().ok_or("there is no relay")?;
        let mut rtc = Rtc::builder().clear_codecs().build(Instant::now());
        rtc.add_local_candidate(Candidate::host(self.here, "udp").map_err(in_words)?);
        let mut changes = rtc.sdp_api();
        changes.add_channel_with_config(ChannelConfig {
            negotiated: Some(0),
            ..ChannelConfig::default()
        });
        let (offer, pending) = changes.apply().ok_or("there is nothing to offer")?;
        let mut listener = self.node.listen(PROTOCOL);
        let ours = self.node.open(relay, PROTOCOL).map_err(in_words)?;
        let offer = Signal::Offer(offer.to_sdp_string()).encode();
        ours.send(offer).await.map_err(in_words)?;
        let theirs = tokio::select! {
            theirs = listener.accept() => theirs.ok_or("the node has left")?,
            failure = std::future::poll_fn(|cx| ours.poll_broken(cx)) => return Err(failure.to_string()),
        };
        let said = theirs.recv().await.map_err(in_words)?;
        let said = said.ok_or("the relay has given no answer")?;
        let Signal::Answer(answer) = Signal::decode(&said).map_err(in_words)? else {
            return Err(String::from("expected an answer, got another signal"));
        };
        let answer = SdpAnswer::from_sdp_string(&answer).map_err(in_words)?;
        rtc.sdp_api()
            .accept_answer(pending, answer)
            .map_err(in_words)?;
        self.drive(&mut rtc).await
    }

    /// Does what a connection says until its channel is open.
    async fn drive(&self, rtc: &mut Rtc) -> Result<String, String> {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            let due = match rtc.poll_output().map_err(in_words)? {
                Output::Transmit(sent) => {
                    // What is lost is sent again.
                    let _ = self.socket.send_to(&sent.contents, sent.destination).await;
                    continue;
                }
                Output::Event(Event::ChannelOpen(..)) => {
                    return Ok(String::from("a data channel is open"));
                }
                Output::Event(_) => continue,
                Output::Timeout(due) => due,
            };
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An error is one of what was sent before.
                    let Ok((len, from)) = received else { continue };
                    let now = Instant::now();
                    let received = Receive::new(Protocol::Udp, from, self.here, &buffer[..len]);
                    if let Ok(received) = received {
                        rtc.handle_input(Input::Receive(now, received)).map_err(in_words)?;
                    }
                }
                () = sleep_until(due.into()) => {
                    rtc.handle_input(Input::Timeout(Instant::now())).map_err(in_words)?;
                }
            }
        }
    }
}

fn request(method: Method, attributes: &[&dyn AttributeWrite]) -> Result<MessageWriteVec, String> {
    let mut request = Message::builder_request(method, MessageWriteVec::new());
    for attribute in attributes {
        request.add_attribute(*attribute).map_err(in_words)?;
    }
    Ok(request)
}

fn read(answer: &[u8]) -> Result<Message<'_>, String> {
    Message::from_bytes(answer).map_err(in_words)
}

fn in_words<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}
