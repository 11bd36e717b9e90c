//! What makes a node a relay: it names the zone's nodes, tells each of the others, and forwards
//! records along routes without being able to read them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::{Kind, NodeId};
use crate::limits::{GONE_GRACE, SPARE_LINKS_MAX};
use crate::link::frame::{Control, Member};
use crate::link::hello::{Hello, Welcome};
use crate::link::{Frame, LinkId, Origin, RouteHandle};
use crate::node::machine::neighbour::Phase;
use crate::node::machine::{Machine, Output};
use crate::routing::names::Names;
use crate::routing::routes::{End, Routes};
use crate::session::Via;

/// A relay's books.
#[derive(Debug, Default)]
pub(super) struct Hub {
    names: Names,
    routes: Routes,
    /// The links of each node, the one in use last.
    links: BTreeMap<NodeId, Vec<LinkId>>,
    since: BTreeMap<NodeId, Time>,
    /// Nodes whose link broke, and when that becomes "gone".
    leaving: BTreeMap<NodeId, Time>,
    traffic: Traffic,
}

/// What a relay has forwarded since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Records passed on.
    pub forwarded_records: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Records not passed on because the link beyond takes too little; their senders send them again.
    pub dropped_records: u64,
    /// Routes in use.
    pub routes: usize,
}

impl Machine {
    /// What this relay has forwarded.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            routes: self.hub.routes.len(),
            ..self.hub.traffic
        }
    }

    /// How many links a node has here, and since when it is here.
    pub fn presence(&self, id: NodeId) -> (usize, Option<Time>) {
        let links = self.hub.links.get(&id).map_or(0, Vec::len);
        (links, self.hub.since.get(&id).copied())
    }

    /// Whether this is a relay, and that node is linked to it.
    pub(super) fn has_link_of(&self, id: NodeId) -> bool {
        self.presence(id).0 > 0
    }

    pub(super) fn open_hub(&mut self) {
        let wish = self.config.name.clone();
        // Nobody else is here yet, so the wish is free.
        self.config.name = self.hub.names.claim(self.id, wish, true, self.now).ok();
        if let Some(name) = self.config.name.clone() {
            self.set_state(crate::node::State::Online(name));
        }
    }

    pub(super) fn receive_hello(
        &mut self,
        id: LinkId,
        version: u16,
        body: &[u8],
    ) -> Result<(), Failure> {
        let Some(link) = self.links.get(&id) else {
            return Ok(());
        };
        let Phase::Challenged(challenge) = &link.phase else {
            return Ok(());
        };
        let hello = Hello::check(version, body, challenge)?;
        if hello.id == self.id {
            return Err(Code::Refused.because("this is the relay's own id"));
        }
        let name = self
            .hub
            .names
            .claim(hello.id, hello.name.clone(), hello.insist, self.now)?;
        let member = Member {
            id: hello.id,
            name: name.clone(),
            kind: hello.kind,
        };
        let signature = Welcome::sign(&self.identity, challenge, &hello);
        let welcome = Welcome {
            name,
            members: self.everyone_but(hello.id),
            signature,
        };
        self.tell(id, &Frame::Control(Control::Welcome(welcome)));
        self.member_link_up(member, id);
        Ok(())
    }

    fn everyone_but(&self, id: NodeId) -> Vec<Member> {
        let own = self.config.name.clone().map(|name| Member {
            id: self.id,
            name,
            kind: Kind::Relay,
        });
        self.members
            .values()
            .filter(|member| member.id != id)
            .cloned()
            .chain(own)
            .collect()
    }

    /// The newest link of a node is in use, the older ones are spares.
    fn member_link_up(&mut self, member: Member, link: LinkId) {
        let id = member.id;
        if let Some(link) = self.links.get_mut(&link) {
            link.phase = Phase::Up(id);
        }
        let links = self.hub.links.entry(id).or_default();
        links.push(link);
        let surplus = (links.len() > SPARE_LINKS_MAX).then(|| links[0]);
        self.hub.leaving.remove(&id);
        self.hub.since.entry(id).or_insert(self.now);
        // Told again to those who know already: now it can be reached.
        self.broadcast(&Control::Join(member.clone()), id);
        tracing::info!(node = %id.short(), name = %member.name, kind = %member.kind, "joined");
        self.member_joined(member);
        if let Some(surplus) = surplus {
            self.refuse(
                surplus,
                Code::Overloaded.because("too many links of one node"),
            );
        }
    }

    pub(super) fn member_link_down(&mut self, id: NodeId, link: LinkId) {
        for (handle, other) in self.hub.routes.close_link(link) {
            self.route_closed(handle, link, other);
        }
        let Some(links) = self.hub.links.get_mut(&id) else {
            return;
        };
        links.retain(|l| *l != link);
        if links.is_empty() {
            self.hub.leaving.insert(id, self.now + GONE_GRACE);
            self.sweep_soon();
        }
    }

    fn route_closed(&mut self, handle: RouteHandle, link: LinkId, other: End) {
        match other {
            End::Link(other) => {
                self.tell(other, &Frame::Control(Control::Closed { route: handle }));
            }
            End::Here(peer) => {
                self.routes.remove(&(link, handle));
                self.path_down(
                    peer,
                    Via::Relayed {
                        link,
                        route: handle,
                    },
                );
            }
        }
    }

    /// A node has left, or is gone: all that it had here goes with it, but its name is kept a while.
    pub(super) fn member_left(&mut self, id: NodeId, reason: &Failure) {
        for link in self.hub.links.remove(&id).unwrap_or_default() {
            self.outputs.push_back(Output::Close(link, reason.clone()));
            self.forget_link_quietly(link);
        }
        self.hub.links.remove(&id);
        self.hub.leaving.remove(&id);
        self.hub.since.remove(&id);
        self.hub.names.release(id, self.now);
        tracing::info!(node = %id.short(), reason = %reason.code, "no longer here");
        self.broadcast(
            &Control::Leave {
                id,
                reason: reason.code,
            },
            id,
        );
        self.member_gone(id, reason);
    }

    pub(super) fn hub_time(&mut self) {
        let gone: Vec<_> = self
            .hub
            .leaving
            .iter()
            .filter(|(_, due)| **due <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.member_left(
                id,
                &Code::Gone.because("its link broke and it did not return"),
            );
        }
    }

    pub(super) fn hub_due(&self) -> Option<Time> {
        self.hub.leaving.values().min().copied()
    }

    fn broadcast(&mut self, control: &Control, about: NodeId) {
        let frame = Frame::Control(control.clone()).encode();
        let links: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| {
                link.origin == Origin::Accepted
                    && matches!(&link.phase, Phase::Up(id) if *id != about)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in links {
            self.tell_encoded(id, frame.clone());
        }
    }

    /// Passes a record on: a look-up, and the same bytes again.
    pub(super) fn forward(&mut self, from: LinkId, route: RouteHandle, payload: Bytes, raw: Bytes) {
        match self.hub.routes.next_hop(route, End::Link(from)) {
            Some(End::Link(to)) => {
                let Some(link) = self.links.get_mut(&to) else {
                    return;
                };
                let bytes = raw.len() as u64;
                if link.queue.push_forwarded(raw).is_ok() {
                    self.hub.traffic.forwarded_records += 1;
                    self.hub.traffic.forwarded_bytes += bytes;
                    self.ready_link(to);
                } else {
                    self.hub.traffic.dropped_records += 1;
                }
            }
            Some(End::Here(peer)) => {
                self.receive_payload(Via::Relayed { link: from, route }, peer, payload);
            }
            None => self.tell(from, &Frame::Control(Control::Closed { route })),
        }
    }

    pub(super) fn receive_from_member(
        &mut self,
        link: LinkId,
        member: NodeId,
        control: Control,
    ) -> Result<(), Failure> {
        match control {
            Control::Resolve { request, name } => {
                let id = self.hub.names.resolve(&name);
                self.tell(link, &Frame::Control(Control::Resolved { request, id }));
            }
            Control::Open {
                request,
                target,
                payload,
            } => {
                match self.open_for(link, member, target) {
                    Ok((route, end)) => {
                        // The opener must know the route before the answer comes along it.
                        self.tell(link, &Frame::Control(Control::Opened { request, route }));
                        self.deliver_first(link, member, route, end, payload);
                    }
                    Err(failure) => {
                        let refused = Control::OpenRefused { request, failure };
                        self.tell(link, &Frame::Control(refused));
                    }
                }
            }
            Control::Closed { route } => {
                if let Some(other) = self.hub.routes.close(route, End::Link(link)) {
                    self.route_closed(route, link, other);
                }
            }
            _ => return Err(Code::BadMessage.because("got a frame that only a relay may send")),
        }
        Ok(())
    }

    fn open_for(
        &mut self,
        link: LinkId,
        member: NodeId,
        target: NodeId,
    ) -> Result<(RouteHandle, End), Failure> {
        if target == member {
            return Err(Code::Refused.because("a route cannot lead back to its opener"));
        }
        let here = target == self.id;
        let end = if here {
            End::Here(member)
        } else {
            End::Link(self.active_link(target)?)
        };
        Ok((self.open_route(End::Link(link), end)?, end))
    }

    fn deliver_first(
        &mut self,
        link: LinkId,
        from: NodeId,
        route: RouteHandle,
        end: End,
        payload: Vec<u8>,
    ) {
        match end {
            End::Here(_) => {
                self.routes.insert((link, route), from);
                self.receive_payload(Via::Relayed { link, route }, from, payload.into());
            }
            End::Link(next) => {
                self.hub.traffic.forwarded_records += 1;
                self.hub.traffic.forwarded_bytes += payload.len() as u64;
                self.tell(
                    next,
                    &Frame::Control(Control::Incoming {
                        route,
                        from,
                        payload,
                    }),
                );
            }
        }
    }

    /// Opens a route from this relay itself to one of its nodes.
    pub(super) fn open_from_here(
        &mut self,
        target: NodeId,
        payload: Vec<u8>,
    ) -> Result<Via, Failure> {
        let link = self.active_link(target)?;
        let route = self.open_route(End::Here(target), End::Link(link))?;
        self.routes.insert((link, route), target);
        let incoming = Control::Incoming {
            route,
            from: self.id,
            payload,
        };
        self.tell(link, &Frame::Control(incoming));
        Ok(Via::Relayed { link, route })
    }

    fn open_route(&mut self, opener: End, target: End) -> Result<RouteHandle, Failure> {
        self.hub
            .routes
            .open(opener, target)
            .map_err(|_| Code::Overloaded.because("too many routes at one link"))
    }

    fn active_link(&self, id: NodeId) -> Result<LinkId, Failure> {
        if let Some(link) = self.hub.links.get(&id).and_then(|links| links.last()) {
            Ok(*link)
        } else if self.members.contains_key(&id) {
            Err(Code::Unreachable
                .because("the node has lost its link, and may return")
                .of(id))
        } else {
            Err(Code::UnknownName.because("nobody here has this id").of(id))
        }
    }
}
