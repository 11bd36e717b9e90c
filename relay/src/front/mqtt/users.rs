//! Who may come, and what each may publish and subscribe to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use peerage::service::broker::Filter;
use rmqtt_codec::v5::ConnectAckReason;

use crate::config::{Allowed, MqttConfig, MqttUser, PasswordHash};

/// Who may come.
#[derive(Debug)]
pub(super) struct Users {
    allow: Option<Allowed>,
    by_name: BTreeMap<String, (PasswordHash, Arc<User>)>,
}

/// What a client may do.
#[derive(Debug)]
pub(super) struct User {
    publish: Vec<Filter>,
    subscribe: Vec<Filter>,
}

/// What a client shows of itself.
pub(super) struct Credentials<'c> {
    pub(super) name: Option<&'c str>,
    pub(super) password: Option<&'c [u8]>,
}

impl Users {
    /// Those of a configuration.
    pub(super) fn new(config: &MqttConfig) -> Self {
        let users = config.users.iter().map(|(name, user)| {
            let rights = Arc::new(User::new(user));
            (name.clone(), (user.password.clone(), rights))
        });
        Self {
            allow: config.allow.clone(),
            by_name: users.collect(),
        }
    }

    /// Whether who is at an address may come at all: this machine's programs, where nobody needs a password
    /// and nothing else is said.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        match &self.allow {
            Some(allow) => allow.has(address),
            None => !self.by_name.is_empty() || Allowed::default().has(address),
        }
    }

    /// Whether clients are told apart by user.
    pub(super) fn are_named(&self) -> bool {
        !self.by_name.is_empty()
    }

    /// What a client may do that shows these. It takes a while.
    ///
    /// # Errors
    /// What it is told if it may not come.
    pub(super) fn admit(
        &self,
        credentials: &Credentials<'_>,
    ) -> Result<Arc<User>, ConnectAckReason> {
        if !self.are_named() {
            return Ok(Arc::new(User::anybody()));
        }
        let wrong = ConnectAckReason::BadUserNameOrPassword;
        let name = credentials.name.ok_or(wrong)?;
        let password = credentials.password.ok_or(wrong)?;
        match self.by_name.get(name) {
            Some((hash, user)) if hash.is_of(password) => Ok(Arc::clone(user)),
            Some(_) => Err(wrong),
            None => {
                // Who there is cannot be told by the time that this takes.
                if let Some((hash, _)) = self.by_name.values().next() {
                    hash.is_of(password);
                }
                Err(wrong)
            }
        }
    }
}

impl User {
    fn new(config: &MqttUser) -> Self {
        let filters = |list: &Option<Vec<_>>| match list {
            Some(list) => list
                .iter()
                .map(crate::config::TopicFilter::filter)
                .collect(),
            None => everything(),
        };
        Self {
            publish: filters(&config.publish),
            subscribe: filters(&config.subscribe),
        }
    }

    fn anybody() -> Self {
        Self {
            publish: everything(),
            subscribe: everything(),
        }
    }

    /// Whether it may publish under a topic.
    pub(super) fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|filter| filter.matches(topic))
    }

    /// Whether it may subscribe to all that a filter means.
    pub(super) fn may_subscribe(&self, wanted: &Filter) -> bool {
        self.subscribe.iter().any(|filter| filter.covers(wanted))
    }
}

fn everything() -> Vec<Filter> {
    "#".parse().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> Users {
        Users::new(&serde_json::from_str(text).unwrap())
    }

    /// Of "secret".
    const HASH: &str = "$7$101$MDEyMzQ1Njc4OWFi$EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==";

    #[test]
    fn who_has_no_password_comes_from_this_machine_only_unless_it_is_said() {
        let (here, away) = ("127.0.0.1".parse().unwrap(), "10.1.2.3".parse().unwrap());
        let nobody = users("{}");
        assert!(nobody.has(here) && !nobody.has(away));
        let lan = users(r#"{"allow":["10.0.0.0/8"]}"#);
        assert!(!lan.has(here) && lan.has(away));
        let named = users(&format!(
            r#"{{"users":{{"till":{{"password":"{HASH}"}}}}}}"#
        ));
        assert!(named.has(here) && named.has(away));
    }

    #[test]
    fn a_user_does_what_its_filters_allow() {
        let users = users(&format!(
            r##"{{"users":{{"till":{{"password":"{HASH}","publish":["till/#"],"subscribe":["cups/+"]}}}}}}"##
        ));
        let show = |name, password: &'static str| {
            let password = Some(password.as_bytes());
            users.admit(&Credentials { name, password })
        };
        let wrong = ConnectAckReason::BadUserNameOrPassword;
        assert_eq!(show(Some("till"), "Secret").unwrap_err(), wrong);
        assert_eq!(show(Some("toll"), "secret").unwrap_err(), wrong);
        assert_eq!(show(None, "secret").unwrap_err(), wrong);
        let till = show(Some("till"), "secret").unwrap();
        assert!(till.may_publish("till/1") && !till.may_publish("cups/1"));
        let may = |filter: &str| till.may_subscribe(&filter.parse().unwrap());
        assert!(may("cups/left") && may("cups/+"));
        assert!(!may("cups/#") && !may("#") && !may("till/1"));
    }
}
