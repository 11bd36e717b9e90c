//! Who comes: what it says first, whether it may come, and the session that it gets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peerage::service::broker::Filter;
use peerage::{Kind, Name};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5::{Connect, ConnectAck, ConnectAckReason as Refusal, LastWill, Packet};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::away::Will;
use super::client::Client;
use super::limits::{
    CLIENT_ID_BYTES_MAX, CONNECT_TIMEOUT, MESH_TIMEOUT, PACKET_BYTES_MAX, RECEIVE_MAX,
    SESSION_EXPIRY_MAX, TOPIC_ALIASES_MAX,
};
use super::message::of_will;
use super::pipe::Pipe;
use super::roster::{Kept, Place};
use super::session::Session;
use super::strangers::Stranger;
use super::users::{Credentials, User};
use super::{Front, Shared};
use crate::runtime::random;

/// The name of the node of a client whose id has no letter that a name may have.
const NAMELESS: &str = "mqtt";
/// Characters of a name.
const NAME_CHARS_MAX: usize = 63;

/// A client that has been let in.
pub(super) struct Guest {
    pub(super) client: Client,
    pub(super) place: Place,
    pub(super) connected: Connected,
    pub(super) will: Option<Will>,
    pub(super) expiry: Duration,
}

/// Counts as connected, until this is dropped.
pub(super) struct Connected {
    shared: Arc<Shared>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connected {
    fn new(shared: &Arc<Shared>, place: Option<OwnedSemaphorePermit>) -> Self {
        shared.connected.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            _place: place,
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.shared.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a session is kept, of what was asked for.
pub(super) fn expiry(asked_s: u32) -> Duration {
    Duration::from_secs(asked_s.into()).min(SESSION_EXPIRY_MAX)
}

impl Front {
    /// Hears who has come, and lets it in if it may come.
    pub(super) async fn greet(&self, mut pipe: Pipe, stranger: Stranger) -> Option<Guest> {
        let connect = match timeout(CONNECT_TIMEOUT, pipe.recv()).await {
            Ok(Ok(Some(Packet::Connect(connect)))) => connect,
            Ok(Err(DecodeError::InvalidClientId)) => {
                pipe.put(refused(Refusal::ClientIdentifierNotValid));
                pipe.close().await;
                return None;
            }
            _ => return None,
        };
        let connected = Connected::new(&self.0, stranger.known());
        let (user, place, session, ack) = match self.admit(&connect).await {
            Ok(admitted) => admitted,
            Err(refusal) => {
                tracing::debug!(
                    target: peerage::log::CONNECTION,
                    reason = ?refusal, "an MQTT client is refused"
                );
                pipe.put(refused(refusal));
                pipe.close().await;
                return None;
            }
        };
        pipe.put(Packet::ConnectAck(Box::new(ack)));
        pipe.welcome(connect.max_packet_size.map(std::num::NonZeroU32::get));
        let expiry = expiry(connect.session_expiry_interval_secs);
        Some(Guest {
            client: Client::new(pipe, session, user, connect.keep_alive, connect.receive_max),
            place,
            connected,
            will: connect.last_will.map(|will| will_of(will, expiry)),
            expiry,
        })
    }

    async fn admit(
        &self,
        connect: &Connect,
    ) -> Result<(Arc<User>, Place, Box<Session>, ConnectAck), Refusal> {
        if connect.auth_method.is_some() {
            return Err(Refusal::BadAuthenticationMethod);
        }
        if connect.client_id.len() > CLIENT_ID_BYTES_MAX {
            return Err(Refusal::ClientIdentifierNotValid);
        }
        let user = self.check(connect).await?;
        if let Some(will) = &connect.last_will {
            check_will(will, &user)?;
        }
        let given = match connect.client_id.is_empty() {
            true => Some(given_id()?),
            false => None,
        };
        let id = given.clone();
        let id = id.unwrap_or_else(|| connect.client_id.to_string());
        let name = connect.username.as_ref().map(ToString::to_string);
        let name = name.filter(|_| self.0.users.are_named());
        let entered = self.0.roster.enter((name, id.clone()));
        let (place, before) = entered.map_err(|_| Refusal::QuotaExceeded)?;
        let kept = before.hand_over(!connect.clean_start).await;
        let kept = kept.map_err(|_| Refusal::ServerBusy)?;
        let (session, was_there) = self.session(&id, kept).await?;
        let expires = expiry(connect.session_expiry_interval_secs).as_secs();
        let is_cut = expires < u64::from(connect.session_expiry_interval_secs);
        let ack = ConnectAck {
            session_present: was_there,
            session_expiry_interval_secs: u32::try_from(expires).ok().filter(|_| is_cut),
            receive_max: RECEIVE_MAX,
            max_packet_size: Some(PACKET_BYTES_MAX),
            assigned_client_id: given.map(Into::into),
            topic_alias_max: TOPIC_ALIASES_MAX,
            ..ConnectAck::default()
        };
        Ok((user, place, session, ack))
    }

    /// Checks who it is, beside what is done.
    async fn check(&self, connect: &Connect) -> Result<Arc<User>, Refusal> {
        let busy = |_| Refusal::ServerBusy;
        let _turn = self.0.checking.acquire().await.map_err(busy)?;
        let shared = Arc::clone(&self.0);
        let (name, password) = (connect.username.clone(), connect.password.clone());
        let checking = tokio::task::spawn_blocking(move || {
            shared.users.admit(&Credentials {
                name: name.as_deref(),
                password: password.as_deref(),
            })
        });
        checking.await.unwrap_or(Err(Refusal::ServerUnavailable))
    }

    /// The session of a client: that which was kept, or a new one, with the node that was held before if there is one.
    async fn session(&self, id: &str, kept: Option<Kept>) -> Result<(Box<Session>, bool), Refusal> {
        let unavailable = |_| Refusal::ServerUnavailable;
        let held = match kept {
            Some(Kept {
                mut session,
                is_kept: true,
            }) => {
                session.resume().await.map_err(unavailable)?;
                return Ok((session, true));
            }
            Some(Kept { session, .. }) => session.held,
            None => {
                let _turn = self
                    .0
                    .holding
                    .acquire()
                    .await
                    .map_err(|_| Refusal::ServerBusy)?;
                let holding = self.0.holder.hold(Kind::Adapter, name_of(id));
                let held = timeout(MESH_TIMEOUT, holding).await;
                held.map_err(|_| Refusal::ServerBusy)?.map_err(|error| {
                    tracing::warn!(target: peerage::log::ERROR, %error, "no node for an MQTT client");
                    Refusal::ServerUnavailable
                })?
            }
        };
        let session = Session::new(held).map_err(|_| Refusal::ServerUnavailable)?;
        Ok((Box::new(session), false))
    }
}

fn check_will(will: &LastWill, user: &User) -> Result<(), Refusal> {
    let is_topic = !will.topic.contains(['+', '#', '*']) && will.topic.parse::<Filter>().is_ok();
    match (is_topic, user.may_publish(&will.topic)) {
        (false, _) => Err(Refusal::TopicNameInvalid),
        (true, false) => Err(Refusal::NotAuthorized),
        (true, true) => Ok(()),
    }
}

fn will_of(will: LastWill, expiry: Duration) -> Will {
    let delay = will.will_delay_interval_sec.unwrap_or_default();
    Will {
        // With the session's end it can wait no longer.
        delay: Duration::from_secs(delay.into()).min(expiry),
        publish: of_will(will),
    }
}

fn refused(reason_code: Refusal) -> Packet {
    Packet::ConnectAck(Box::new(ConnectAck {
        reason_code,
        max_qos: QoS::ExactlyOnce,
        ..ConnectAck::default()
    }))
}

fn given_id() -> Result<String, Refusal> {
    let random = random().map_err(|_| Refusal::ServerUnavailable)?;
    Ok(format!(
        "auto-{}",
        data_encoding::HEXLOWER.encode(&random[..16])
    ))
}

/// The name of the node of a client: its id, as far as that can be a name.
fn name_of(id: &str) -> Option<Name> {
    let plain = id.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
        _ => '-',
    });
    let plain: String = plain
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(NAME_CHARS_MAX)
        .collect();
    plain.parse().or_else(|_| NAMELESS.parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_its_nodes_name_as_far_as_it_can_be() {
        let long = "x".repeat(99);
        for (id, name) in [
            ("boiler", "boiler"),
            ("mosq-Ab1", "mosq-Ab1"),
            ("house/1 boiler", "house-1-boiler"),
            ("/dev", "dev"),
            ("äö", "mqtt"),
            (&long, &long[..63]),
        ] {
            assert_eq!(name_of(id).unwrap().as_str(), name);
        }
    }
}
