//! Calling many addresses of which one is wanted (RFC 8305): one after the other begins, in turns of IPv6 and IPv4, and
//! the first wins whose other end has said to be who it must be. The others are dropped before they are links.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use peerage::NodeId;
use peerage::limits::RACE_CANDIDATES_MAX;
use peerage::link::Frame;
use peerage::link::frame::{Control, Packet};
use peerage::link::hello::Challenge;
use peerage::node::Input;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::enet;
use crate::link::{address, websocket};
use crate::runtime::{Runtime, Told};

/// How long an address has for itself until the next is called as well (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// A link that is about to be, whose other end has spoken first.
pub(crate) enum Greeted {
    WebSocket(websocket::Greeted),
    Enet(enet::link::Greeted),
}

/// Calls these until one is a link; `told` is how each is told. Why it was none of them, if so.
pub(crate) async fn race(
    runtime: &Runtime,
    found: Vec<Url>,
    told: impl Fn(&Url) -> String,
) -> Result<(), Vec<(String, String)>> {
    let mut waiting = in_turns(found).into_iter();
    let mut calls = FuturesUnordered::new();
    let mut called: Vec<Url> = Vec::new();
    let mut reasons = Vec::new();
    loop {
        match waiting.next() {
            Some(url) => {
                let calling = Input::Calling(told(&url));
                runtime.tell(Told::Input(calling)).await;
                called.push(url.clone());
                calls.push(greet(runtime, url));
            }
            None if calls.is_empty() => return Err(reasons),
            None => {}
        }
        let next = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => sleep(STAGGER).await,
            }
        };
        tokio::select! {
            Some((url, greeted)) = calls.next() => match greeted {
                Ok(greeted) => {
                    runtime.discovery.chose(&url);
                    called.retain(|other| *other != url);
                    for other in called {
                        let failed = Input::CallFailed(told(&other), String::from("another answered first"));
                        runtime.tell(Told::Input(failed)).await;
                    }
                    greeted.run(runtime, &told(&url));
                    return Ok(());
                }
                Err(reason) => {
                    called.retain(|other| *other != url);
                    let failed = Input::CallFailed(told(&url), reason.clone());
                    runtime.tell(Told::Input(failed)).await;
                    reasons.push((told(&url), reason));
                }
            },
            () = next => {}
        }
    }
}

/// Calls one, and waits until it has said who it is.
async fn greet(runtime: &Runtime, url: Url) -> (Url, Result<Greeted, String>) {
    let greeting = async {
        match url.scheme() {
            "enet" => enet::link::greeted(runtime, &url).await.map(Greeted::Enet),
            _ => websocket::greeted(&url).await.map(Greeted::WebSocket),
        }
    };
    let patience = runtime.dial_timeout;
    let greeted = timeout(patience, greeting).await;
    let greeted = greeted.unwrap_or_else(|_| Err(format!("no answer within {patience:?}")));
    let checked = greeted.and_then(|greeted| {
        let expected = address::node(&url).map_err(|error| error.to_string())?;
        check(greeted.first(), expected).inspect_err(|wrong| {
            if wrong.is_another {
                runtime.discovery.disbelieve(&url);
            }
        })?;
        Ok(greeted)
    });
    (url, checked)
}

/// Why an end is none that is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    reason: String,
    /// It is another node than was expected.
    is_another: bool,
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> Self {
        wrong.reason
    }
}

/// Whether the first word of a link is that of the node that is expected, as far as it can be told before it is proven.
fn check(first: &Bytes, expected: Option<NodeId>) -> Result<(), Wrong> {
    let wrong = |reason| Wrong {
        reason,
        is_another: false,
    };
    let challenge = match Packet::new(first.clone()).next() {
        Some(Ok((Frame::Challenge { versions, body }, _))) => Challenge::read(versions, &body),
        Some(Ok((Frame::Control(Control::Refuse(failure)), _))) => Err(failure),
        _ => return Err(wrong(String::from("what is there is no node"))),
    };
    let challenge = challenge.map_err(|failure| wrong(failure.to_string()))?;
    match expected {
        Some(expected) if expected != challenge.id => Err(Wrong {
            reason: format!("expected the node {expected}, got {}", challenge.id),
            is_another: true,
        }),
        _ => Ok(()),
    }
}

impl Greeted {
    fn first(&self) -> &Bytes {
        match self {
            Self::WebSocket(greeted) => &greeted.first,
            Self::Enet(greeted) => &greeted.first,
        }
    }

    /// Runs the link in a task.
    fn run(self, runtime: &Runtime, told: &str) {
        match self {
            Self::WebSocket(greeted) => greeted.run(runtime, told),
            Self::Enet(greeted) => greeted.run(runtime, told),
        }
    }
}

/// The order in which to call: no host twice before every other, then the families in turns, the best one's first; at
/// most so many.
fn in_turns(found: Vec<Url>) -> Vec<Url> {
    let mut of_host: HashMap<Option<String>, usize> = HashMap::new();
    let rounds = found.into_iter().map(|url| {
        let round = of_host
            .entry(url.host_str().map(str::to_owned))
            .or_default();
        *round += 1;
        (*round, url)
    });
    let mut rounds: Vec<_> = rounds.collect();
    rounds.sort_by_key(|(round, _)| *round);
    let first = rounds.first().map(|(_, url)| is_v6(url));
    let urls = rounds.into_iter().map(|(_, url)| url);
    let (same, other): (Vec<_>, Vec<_>) = urls.partition(|url| Some(is_v6(url)) == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    while turns.len() < RACE_CANDIDATES_MAX {
        let before = turns.len();
        turns.extend(same.next().into_iter().chain(other.next()));
        if turns.len() == before {
            break;
        }
    }
    turns.truncate(RACE_CANDIDATES_MAX);
    turns
}

fn is_v6(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.starts_with('['))
}

#[cfg(test)]
mod tests {
    use peerage::config::Timeouts;
    use peerage::{Config, Identity, Kind};
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::config::EnetConfig;
    use crate::discovery::{Discovery, Settings};
    use crate::front::enet::Front;
    use crate::front::held::Holder;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts
            .iter()
            .map(|text| address::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn families_take_turns_and_no_host_comes_twice_before_every_other() {
        let found = urls(&[
            "ws://10.0.0.1:1/",
            "ws://10.0.0.1:2/",
            "ws://10.0.0.2/",
            "ws://[fd00::1]/",
            "enet://[fd00::1]:3",
        ]);
        let turns = urls(&[
            "ws://10.0.0.1:1/",
            "ws://[fd00::1]/",
            "ws://10.0.0.2/",
            "enet://[fd00::1]:3",
            "ws://10.0.0.1:2/",
        ]);
        assert_eq!(in_turns(found), turns);
        assert!(in_turns(Vec::new()).is_empty());
    }

    #[test]
    fn there_are_so_many_and_no_more_and_others_than_the_loudest_are_among_them() {
        let loud = (0..1000).map(|n| format!("ws://10.0.0.1:{}/", 1000 + n));
        let found = loud.chain([String::from("ws://10.0.0.2/")]);
        let turns = in_turns(found.map(|text| text.parse().unwrap()).collect());
        assert_eq!(turns.len(), RACE_CANDIDATES_MAX);
        assert_eq!(turns[1].as_str(), "ws://10.0.0.2/");
    }

    #[test]
    fn who_says_to_be_another_or_is_no_node_is_none_of_those_that_are_wanted() {
        let id = |secret| Identity::from_secret(&[secret; 32]).id();
        let challenge = Challenge {
            id: id(1),
            zone: "local".into(),
            nonce: [3; 32],
        };
        let first = Frame::challenge(peerage::link::hello::VERSIONS, &challenge).encode();
        assert_eq!(check(&first, Some(id(1))), Ok(()));
        assert_eq!(check(&first, None), Ok(()));
        assert!(check(&first, Some(id(2))).unwrap_err().is_another);
        for other in [&b"GET / HTTP/1.1"[..], b""] {
            assert!(
                !check(&Bytes::from_static(other), None)
                    .unwrap_err()
                    .is_another
            );
        }
    }

    #[tokio::test]
    async fn those_who_say_nothing_or_are_others_do_not_keep_a_node_from_who_is_there() {
        let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let relay = crate::Node::launch(config, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let runtime = relay.runtime().clone();
        let front = Front::new(runtime.clone(), Holder::new(runtime), EnetConfig::default());
        let real = front.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        // Neither ever says anything, though one takes calls.
        let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = Identity::from_secret(&[7; 32]).id();
        let found = [
            format!(
                "ws://{}/mesh#node={}",
                deaf.local_addr().unwrap(),
                relay.id()
            ),
            format!("enet://{}#node={}", mute.local_addr().unwrap(), relay.id()),
            format!("enet://{real}#node={other}"),
            format!("enet://{real}#node={}", relay.id()),
        ];
        let discovery = Discovery::new(Settings {
            methods: Vec::new(),
            ..Settings::default()
        });
        for (n, address) in found.iter().enumerate() {
            discovery.found_at(n, address::parse(address).unwrap());
        }
        let config = Config {
            // Far longer than all of this may take: no attempt waits for the end of another.
            timeouts: Timeouts {
                dial: Duration::from_secs(600),
                ..Timeouts::default()
            },
            ..Config::new(Kind::Native)
        };
        let any = vec!["discover:".parse().unwrap()];
        let launched = crate::Node::launch_discovering(config, any, Default::default(), discovery);
        let node = timeout(Duration::from_secs(60), launched.unwrap().joined()).await;
        let node = node.unwrap().unwrap();
        assert_eq!(node.uplink(), Some(relay.id()));
    }
}
