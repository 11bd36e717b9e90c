//! Who is in the zone, as the relay tells, and whom a name means.

use crate::error::{Code, Failure};
use crate::id::{Name, NodeId};
use crate::limits::{REQUEST_TIMEOUT, RETURN_GRACE};
use crate::link::frame::{Control, Member};
use crate::link::{Frame, LinkId};
use crate::log::event;
use crate::node::events::{Event, Peer, State};
use crate::node::machine::Machine;
use crate::node::machine::hub::Asker;
use crate::node::machine::session::Session;
use crate::session::Via;
use crate::session::transport::Transport;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This node itself.
    Here,
    /// A node that is known.
    Known(NodeId),
    /// The relay is asked; an event with this number will tell.
    Asked(u32),
    /// Nobody.
    Unknown(Failure),
}

impl Machine {
    /// Who is meant by a name, an id, or the beginning of an id.
    pub fn resolve(&mut self, text: &str) -> Resolution {
        if self.name().is_some_and(|name| name.as_str() == text) {
            return Resolution::Here;
        }
        if let Some(id) = self.member_named(text) {
            return Resolution::Known(id);
        }
        if let Ok(id) = text.parse::<NodeId>() {
            return if id == self.id {
                Resolution::Here
            } else {
                Resolution::Known(id)
            };
        }
        if let Some(found) = self.resolve_shortened(text) {
            return found;
        }
        match (text.parse::<Name>(), self.uplink.link()) {
            (Ok(name), Some(link)) => {
                let request = self.next_request();
                self.resolves.insert(request, self.now + REQUEST_TIMEOUT);
                self.tell(link, &Frame::Control(Control::Resolve { request, name }));
                self.sweep_soon();
                Resolution::Asked(request)
            }
            (Err(error), _) => Resolution::Unknown(unknown_name(text, &error.to_string())),
            // The primary keeps the names of those who went for a while.
            (Ok(name), None) => match self.hub.names.resolve(&name, self.now) {
                Some(id) => Resolution::Known(id),
                None => Resolution::Unknown(unknown_name(text, "nobody here has this name")),
            },
        }
    }

    fn member_named(&self, name: &str) -> Option<NodeId> {
        let mut members = self.members.values();
        let member = members.find(|member| member.name.as_str() == name);
        member.map(|member| member.id)
    }

    pub(super) fn resolve_shortened(&self, text: &str) -> Option<Resolution> {
        /// Fewer characters are too easily a name's.
        const SHORTEST: usize = 4;
        let own =
            (text.len() >= SHORTEST && self.id.to_string().starts_with(text)).then_some(self.id);
        let mut matching = self
            .members
            .keys()
            .copied()
            .filter(|id| id.to_string().starts_with(text))
            .chain(own);
        let first = matching.next().filter(|_| text.len() >= SHORTEST)?;
        if matching.next().is_some() {
            let reason = "several ids begin like this";
            return Some(Resolution::Unknown(unknown_name(text, reason)));
        }
        Some(if first == self.id {
            Resolution::Here
        } else {
            Resolution::Known(first)
        })
    }

    pub(super) fn receive_from_above(&mut self, control: Control) -> Result<(), Failure> {
        match control {
            Control::Join(member) if member.id == self.id => self.rename(member.name),
            Control::Join(member) => {
                if let Some(state) = self.peers.get_mut(&member.id) {
                    state.away = None;
                }
                self.moved_elsewhere(member.id);
                self.list(member.id, true);
                self.broadcast(Control::Join(member.clone()), None);
                self.member_joined(member);
            }
            Control::Leave { id, reason } => {
                if !self.contradict_leave(id) {
                    event!(
                        DISCOVERY, DEBUG, self.id,
                        peer = %id.short(), %reason,
                        "is here no more"
                    );
                    self.list(id, false);
                    self.broadcast(Control::Leave { id, reason }, None);
                    self.member_gone(id, &reason.because("the relay no longer sees the node"));
                }
            }
            Control::Resolved { request, id } => {
                if !self.receive_resolved(request, id) && self.resolves.remove(&request).is_some() {
                    event!(
                        DISCOVERY,
                        DEBUG,
                        self.id,
                        request,
                        found = id.is_some(),
                        "a name was asked for"
                    );
                    let found = id.ok_or_else(|| unknown_name("", "nobody here has this name"));
                    self.emit(Event::Resolved(request, found));
                }
            }
            Control::Admitted { request, admission } => self.receive_admitted(request, admission),
            _ => return Err(Code::BadMessage.because("got a frame that only a member may send")),
        }
        Ok(())
    }

    pub(super) fn receive_from_below(
        &mut self,
        link: LinkId,
        control: Control,
    ) -> Result<(), Failure> {
        match control {
            Control::Resolve { request, name } => {
                // The primary's names hold its own and everybody's; elsewhere there are none.
                let named = self.hub.names.resolve(&name, self.now);
                let own = (self.name() == Some(&name)).then_some(self.id);
                let id = named.or(own).or_else(|| self.member_named(name.as_str()));
                if id.is_some() || self.ask_name(link, request, name).is_err() {
                    self.tell(link, &Frame::Control(Control::Resolved { request, id }));
                }
            }
            Control::Admit { request, applicant } => {
                self.admit(Asker::Below(link, request), applicant);
            }
            Control::Leave { id, reason } => self.left_below(link, id, reason),
            _ => return Err(Code::BadMessage.because("got a frame that only a relay may send")),
        }
        Ok(())
    }

    /// The primary has given this node another name.
    fn rename(&mut self, name: Name) {
        event!(DISCOVERY, INFO, self.id, %name, "this node has another name");
        self.config.name = Some(name.clone());
        self.set_state(State::Online(name));
    }

    /// The members as the relay now tells them. A relay that has just begun anew does not know yet
    /// who is about to return, so whoever is missing has a while.
    pub(super) fn replace_members(&mut self, members: Vec<Member>) {
        let here: std::collections::BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let gone: Vec<_> = self
            .members
            .keys()
            .filter(|id| !here.contains(id) && !self.is_below(**id))
            .copied()
            .collect();
        for id in gone {
            self.missing.insert(id, self.now + RETURN_GRACE);
        }
        self.sweep_soon();
        for member in members {
            // Of those below this node knows better.
            if member.id == self.id || self.is_below(member.id) {
                continue;
            }
            if let Some(state) = self.peers.get_mut(&member.id) {
                state.away = None;
            }
            self.list(member.id, true);
            self.broadcast(Control::Join(member.clone()), None);
            self.member_joined(member);
        }
    }

    /// A node went. While a direct link to it lives it is still here for us.
    pub(super) fn member_gone(&mut self, id: NodeId, reason: &Failure) {
        self.missing.remove(&id);
        let direct = self
            .session_mut(id)
            .is_some_and(|session| session.paths.active().is_some_and(Via::is_direct));
        if direct && reason.code != Code::Left {
            if let Some(state) = self.peers.get_mut(&id) {
                state.away = Some(reason.code);
            }
            return;
        }
        self.end_session(id, reason, false);
        self.remove_member(id, reason);
    }

    pub(super) fn remove_member(&mut self, id: NodeId, reason: &Failure) {
        self.list(id, false);
        if let Some(member) = self.members.remove(&id) {
            let peer = self.peer(&member);
            let reason = reason.clone().of(&peer.name);
            self.emit(Event::PeerLeave(peer, reason));
        }
    }

    pub(super) fn member_joined(&mut self, member: Member) {
        let id = member.id;
        self.missing.remove(&id);
        let changed = self.members.insert(id, member.clone()) != Some(member.clone());
        if changed {
            // Of those below it is told that they join.
            if !self.is_below(id) {
                event!(
                    DISCOVERY, DEBUG, self.id,
                    peer = %id.short(), name = %member.name, kind = %member.kind,
                    "is here"
                );
            }
            let peer = self.peer(&member);
            self.emit(Event::PeerJoin(peer));
        }
        self.reroute(id);
    }

    pub(super) fn peer(&self, member: &Member) -> Peer {
        let session = self
            .peers
            .get(&member.id)
            .and_then(|state| state.session.as_ref());
        Peer {
            id: member.id,
            name: member.name.clone(),
            kind: member.kind,
            role: member.role.clone(),
            path: self.path_kind(member.id, session.and_then(Session::way)),
            quality: session
                .and_then(|s| s.transport.as_ref())
                .map(Transport::quality)
                .unwrap_or_default(),
        }
    }
}

fn unknown_name(text: &str, reason: &str) -> Failure {
    let failure = Code::UnknownName.because(reason);
    if text.is_empty() {
        failure
    } else {
        failure.of(text)
    }
}
