//! What a relay tells of its server for STUN and TURN, so that nobody needs a third party's.
//!
//! ```text
//! stream `peerage/ice/1`, opened by who wants to know
//!   relay → opener   one message, and the end
//! ```

use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ICE_BYTES_MAX, PING_TIMEOUT};
use crate::node::{Node, Stream};
use crate::wire::{from_cbor, to_cbor};

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/ice/1";

/// Where the server is, and what it wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Server {
    /// Its host; that by which the relay itself is reached, if nothing is said.
    #[n(0)]
    pub host: Option<String>,
    /// Its port for UDP.
    #[n(1)]
    pub port: u16,
    /// What to tell it for an allocation, if it has any.
    #[n(2)]
    pub turn: Option<Credential>,
}

/// What a TURN server is told.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Credential {
    /// The user's name.
    #[n(0)]
    pub name: String,
    /// The password.
    #[n(1)]
    pub password: String,
    /// For how many seconds it is good.
    #[n(2)]
    pub lasts_s: u64,
}

impl core::fmt::Debug for Credential {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Credential")
    }
}

impl Server {
    /// What `RTCPeerConnection` is told: the addresses for STUN, and for TURN. `relay` is the host by which
    /// the relay is reached.
    pub fn urls(&self, relay: &str) -> (String, Option<String>) {
        let host = self.host.as_deref().unwrap_or(relay);
        // An address of IPv6 stands in brackets, as in an URL.
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let port = self.port;
        let turn = self.turn.as_ref();
        (
            format!("stun:{host}:{port}"),
            turn.map(|_| format!("turn:{host}:{port}?transport=udp")),
        )
    }

    /// Answers who has asked.
    ///
    /// # Errors
    /// If the stream has ended.
    pub async fn tell(&self, stream: &Stream) -> Result<(), Failure> {
        stream.send(to_cbor(self)).await?;
        stream.finish();
        Ok(())
    }
}

/// Asks a relay.
///
/// # Errors
/// `unknown-protocol` if it has none; `timed-out`, `bad-message`, or why there is no session.
pub async fn ask(node: &Node, relay: NodeId) -> Result<Server, Failure> {
    let stream = node.open(relay, PROTOCOL)?;
    let late = node.sleep(PING_TIMEOUT);
    let answered = futures_util::future::select(Box::pin(stream.recv()), Box::pin(late)).await;
    let futures_util::future::Either::Left((answer, _)) = answered else {
        return Err(Code::TimedOut.because("the relay does not say where its STUN server is"));
    };
    let answer = answer?.unwrap_or_default();
    if answer.len() > ICE_BYTES_MAX {
        let words = format!(
            "expected at most {ICE_BYTES_MAX} bytes, got {}",
            answer.len()
        );
        return Err(Code::TooLarge.because(words));
    }
    Ok(from_cbor(&answer, "a STUN server")?)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn server(host: Option<&str>, turn: bool) -> Server {
        let credential = Credential {
            name: String::from("9:a"),
            password: String::from("hush"),
            lasts_s: 9,
        };
        Server {
            host: host.map(str::to_owned),
            port: 7700,
            turn: turn.then_some(credential),
        }
    }

    #[test]
    fn a_server_is_where_the_relay_is_unless_it_says_otherwise() {
        let turn = |host: &str| Some(format!("turn:{host}:7700?transport=udp"));
        for (host, relay, told) in [
            (None, "a.example", "a.example"),
            (None, "[::1]", "[::1]"),
            (Some("192.0.2.1"), "a.example", "192.0.2.1"),
            (Some("2001:db8::1"), "a.example", "[2001:db8::1]"),
        ] {
            let (stun, with) = server(host, true).urls(relay);
            assert_eq!((stun, with), (format!("stun:{told}:7700"), turn(told)));
            assert_eq!(server(host, false).urls(relay).1, None);
        }
    }

    #[test]
    fn what_is_told_is_read_and_a_password_is_not_shown() {
        let told = server(Some("h"), true);
        assert_eq!(from_cbor::<Server>(&to_cbor(&told), "").unwrap(), told);
        assert!(from_cbor::<Server>(b"\x80", "").is_err());
        assert!(!format!("{told:?}").contains("hush"));
    }
}
