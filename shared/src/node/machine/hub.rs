//! What makes a node one that others call: it is asked for membership, and knows who is below it. The
//! nodes of a zone form a tree: its root is the primary, which keeps the names; every other node has
//! one link up, and may have any number of links down.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ASKED_MAX, REQUEST_TIMEOUT, ROSTER_MAX, SPARE_LINKS_MAX};
use crate::link::frame::{Admission, Applicant, Control, Member};
use crate::link::hello::{Hello, Welcome};
use crate::link::{Frame, LinkId, Origin};
use crate::log::event;
use crate::node::connection::Change;
use crate::node::machine::forward::{Load, Traffic};
use crate::node::machine::neighbour::Phase;
use crate::node::machine::{Machine, Output};
use crate::quality::Quality;
use crate::routing::names::Names;

/// What a node knows of those below it.
#[derive(Debug, Default)]
pub(super) struct Hub {
    /// At the primary.
    pub(super) names: Names,
    /// The links by which each node below is reached, the one in use last.
    pub(super) ways: BTreeMap<NodeId, Vec<LinkId>>,
    /// Who is reached by each link.
    below: BTreeMap<LinkId, Vec<NodeId>>,
    since: BTreeMap<NodeId, Time>,
    /// Nodes whose last link broke, and when that becomes "gone".
    leaving: BTreeMap<NodeId, Time>,
    /// Members of whom everybody is told.
    roster: BTreeSet<NodeId>,
    /// What those below have said, at a node that has to tell the primary again.
    applicants: BTreeMap<NodeId, Box<Applicant>>,
    /// Questions passed on to the primary.
    asked: BTreeMap<u32, (Time, Asked)>,
    pub(super) traffic: Traffic,
    /// What has gone by links that have ended.
    pub(super) load: Load,
}

/// Who asked what of the primary.
#[derive(Debug)]
enum Asked {
    Admission(Asker, Box<Applicant>),
    Name(LinkId, u32),
}

/// Who wants somebody to be a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The node itself, which has said hello on this link.
    Hello(LinkId),
    /// The neighbour on this link, for a node below it; and its number for the question.
    Below(LinkId, u32),
    /// This node, for one that was a member before.
    Again,
}

impl Machine {
    /// How many ways there are to a node below this one, and since when it is here.
    pub fn presence(&self, id: NodeId) -> (usize, Option<Time>) {
        let ways = self.hub.ways.get(&id).map_or(0, Vec::len);
        (ways, self.hub.since.get(&id).copied())
    }

    /// How good the link with a neighbour is, if it is one. Of several, the best figures.
    pub fn link_quality(&self, id: NodeId) -> Option<Quality> {
        let below = self.hub.ways.get(&id).into_iter().flatten();
        let direct = self
            .peers
            .get(&id)
            .into_iter()
            .flat_map(|state| &state.directs);
        let above = self.uplink.link().into_iter();
        let links = below.chain(direct).copied().chain(above);
        let with_it = links.filter(|link| self.is_link_of(*link, id));
        let qualities = with_it.filter_map(|link| Some(self.links.get(&link)?.quality));
        qualities.min_by_key(|quality| quality.rtt)
    }

    /// Whether the node keeps the names of its zone.
    pub fn is_primary(&self) -> bool {
        !self.config.dials
    }

    /// Whether a node is below this one and linked to it.
    pub(super) fn is_linked_below(&self, id: NodeId) -> bool {
        let mut ways = self.hub.ways.get(&id).into_iter().flatten();
        ways.any(|link| self.is_link_of(*link, id))
    }

    /// Whether a node is reached by a link down, or was until just now.
    pub(super) fn is_below(&self, id: NodeId) -> bool {
        self.hub.ways.contains_key(&id) || self.hub.leaving.contains_key(&id)
    }

    fn is_link_of(&self, link: LinkId, id: NodeId) -> bool {
        let link = self.links.get(&link);
        link.is_some_and(|link| matches!(link.phase, Phase::Up(of) if of == id))
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
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        let Phase::Challenged(challenge) = &link.phase else {
            return Ok(());
        };
        let hello = Hello::check(version, body, challenge)?;
        self.config.access.check(hello.id)?;
        let applicant = Box::new(Applicant {
            challenge: (**challenge).clone(),
            hello,
            name: None,
        });
        link.phase = Phase::Applying;
        self.admit(Asker::Hello(id), applicant);
        Ok(())
    }

    /// Somebody wants to be a member: the primary decides, others ask it.
    pub(super) fn admit(&mut self, asker: Asker, applicant: Box<Applicant>) {
        let answer = if applicant.hello.id == self.id {
            Err(Code::Refused.because("this way leads back to its own beginning"))
        } else if self.is_primary() {
            self.name_applicant(asker, &applicant)
        } else {
            match self.ask_primary(Asked::Admission(asker, applicant.clone())) {
                Ok(request) => return self.tell_up(Control::Admit { request, applicant }),
                Err(failure) => Err(failure),
            }
        };
        let admission = answer.unwrap_or_else(Admission::Refused);
        self.admitted(asker, applicant, admission);
    }

    fn name_applicant(
        &mut self,
        asker: Asker,
        applicant: &Applicant,
    ) -> Result<Admission, Failure> {
        if let Asker::Below(..) = asker {
            let zone = &applicant.challenge.zone;
            if *zone != self.zone {
                let reason = format!("expected the zone `{}`, got `{zone}`", self.zone);
                return Err(Code::Unauthorised.because(reason));
            }
            applicant.hello.verify(&applicant.challenge)?;
            self.config.access.check(applicant.hello.id)?;
        }
        let id = applicant.hello.id;
        let (wish, insist) = applicant.wish();
        let claimed = self.hub.names.claim(id, wish, insist, self.now);
        let name = claimed.inspect_err(|failure| {
            event!(DISCOVERY, INFO, self.id, peer = %id.short(), %failure, "no name for a node");
        })?;
        event!(DISCOVERY, DEBUG, self.id, peer = %id.short(), %name, "a name is given");
        let roster = &self.hub.roster;
        let listed = roster.len() < ROSTER_MAX || roster.contains(&id);
        Ok(Admission::Granted { name, listed })
    }

    /// Asks the primary for the owner of a name, for a neighbour.
    pub(super) fn ask_name(
        &mut self,
        link: LinkId,
        request: u32,
        name: crate::id::Name,
    ) -> Result<(), Failure> {
        let request = self.ask_primary(Asked::Name(link, request))?;
        self.tell_up(Control::Resolve { request, name });
        Ok(())
    }

    fn ask_primary(&mut self, asked: Asked) -> Result<u32, Failure> {
        if self.uplink.link().is_none() {
            return Err(Code::Unreachable.because("there is no way to the primary now"));
        }
        if self.hub.asked.len() >= ASKED_MAX {
            return Err(Code::Overloaded.because("too many questions wait for the primary"));
        }
        let request = self.next_request();
        let due = self.now + REQUEST_TIMEOUT;
        self.hub.asked.insert(request, (due, asked));
        self.sweep_by(due);
        Ok(request)
    }

    fn tell_up(&mut self, control: Control) {
        if let Some(link) = self.uplink.link() {
            self.tell(link, &Frame::Control(control));
        }
    }

    pub(super) fn receive_admitted(&mut self, request: u32, admission: Admission) {
        if let Some((_, Asked::Admission(asker, applicant))) = self.hub.asked.remove(&request) {
            self.admitted(asker, applicant, admission);
        }
    }

    /// The primary has found, or not, whom a name means. Whether the question was somebody else's.
    pub(super) fn receive_resolved(&mut self, request: u32, id: Option<NodeId>) -> bool {
        let Some((_, Asked::Name(link, request))) = self.hub.asked.remove(&request) else {
            return false;
        };
        self.tell(link, &Frame::Control(Control::Resolved { request, id }));
        true
    }

    fn admitted(&mut self, asker: Asker, applicant: Box<Applicant>, admission: Admission) {
        if let Asker::Below(link, request) = asker {
            let admission = admission.clone();
            self.tell(
                link,
                &Frame::Control(Control::Admitted { request, admission }),
            );
        }
        let (id, kind) = (applicant.hello.id, applicant.hello.kind);
        let role = applicant.hello.role.clone();
        let member = |name| Member {
            id,
            name,
            kind,
            role,
        };
        match (asker, admission) {
            (Asker::Hello(link), Admission::Refused(failure)) => self.refuse(link, failure),
            (Asker::Below(..), Admission::Refused(_)) => {}
            (Asker::Again, Admission::Refused(failure)) => self.member_left(id, &failure),
            (Asker::Hello(link), Admission::Granted { name, listed }) => {
                let member = member(name);
                if self.welcome(link, &applicant, &member) {
                    self.remember(applicant);
                    self.way_up(member, link, listed);
                }
            }
            (Asker::Below(link, _), Admission::Granted { name, listed }) => {
                if self.links.contains_key(&link) {
                    self.remember(applicant);
                    self.way_up(member(name), link, listed);
                }
            }
            (Asker::Again, Admission::Granted { name, .. }) => {
                let member = member(name);
                // It may have another name now, which it learns like everybody else.
                if self.members.get(&id) != Some(&member) {
                    self.broadcast(Control::Join(member.clone()), None);
                    self.member_joined(member);
                }
            }
        }
    }

    /// Keeps what a node below has said, if the primary may have to be told again.
    fn remember(&mut self, applicant: Box<Applicant>) {
        if !self.is_primary() {
            let id = applicant.hello.id;
            self.hub.applicants.insert(id, applicant);
        }
    }

    /// Tells a node that it is a member. `false` if it does not wait for that.
    fn welcome(&mut self, id: LinkId, applicant: &Applicant, member: &Member) -> bool {
        let link = self.links.get(&id);
        if !link.is_some_and(|link| matches!(link.phase, Phase::Applying)) {
            return false;
        }
        let Applicant {
            challenge, hello, ..
        } = applicant;
        let signature = Welcome::sign(&self.identity, challenge, hello);
        let welcome = Welcome {
            name: member.name.clone(),
            members: self.everyone_but(member.id),
            signature,
        };
        self.tell(id, &Frame::Control(Control::Welcome(welcome)));
        if let Some(link) = self.links.get_mut(&id) {
            link.phase = Phase::Up(member.id);
        }
        self.connected(id);
        true
    }

    fn everyone_but(&self, id: NodeId) -> Vec<Member> {
        let own = self.config.name.clone().map(|name| Member {
            id: self.id,
            name,
            kind: self.config.kind,
            role: self.config.role.clone(),
        });
        let others = self.hub.roster.iter().filter(|other| **other != id);
        let members = others.filter_map(|other| self.members.get(other));
        members.cloned().chain(own).collect()
    }

    /// There is a way to a node below. The newest is in use, the older ones are spares.
    fn way_up(&mut self, member: Member, link: LinkId, listed: bool) {
        let id = member.id;
        // Most have one way, and most ways lead to one: a push would make room for four at once.
        let one = || Vec::with_capacity(1);
        let ways = self.hub.ways.entry(id).or_insert_with(one);
        ways.retain(|way| *way != link);
        ways.push(link);
        let surplus = (ways.len() > SPARE_LINKS_MAX).then(|| ways.remove(0));
        let below = self
            .hub
            .below
            .entry(link)
            .or_insert_with(|| Vec::with_capacity(1));
        if !below.contains(&id) {
            below.push(id);
        }
        self.hub.leaving.remove(&id);
        self.hub.since.entry(id).or_insert(self.now);
        if listed {
            self.hub.roster.insert(id);
            // Told again to those who know already: now it can be reached.
            self.broadcast(Control::Join(member.clone()), Some(link));
        }
        event!(
            DISCOVERY, INFO, self.id,
            peer = %id.short(), name = %member.name, kind = %member.kind, link = link.0,
            "joined"
        );
        self.member_joined(member);
        if let Some(surplus) = surplus {
            self.drop_way(id, surplus);
        }
    }

    /// A way to a node below is of no use any more.
    fn drop_way(&mut self, id: NodeId, link: LinkId) {
        self.forget_below(link, id);
        if self.is_link_of(link, id) {
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %id.short(), link = link.0,
                "a spare link is one too many"
            );
            self.refuse(
                link,
                Code::Overloaded.because("newer links of the node are in use"),
            );
        }
    }

    /// A node is not reached by this link any more. Whether it was.
    fn forget_below(&mut self, link: LinkId, id: NodeId) -> bool {
        let Some(below) = self.hub.below.get_mut(&link) else {
            return false;
        };
        let before = below.len();
        below.retain(|other| *other != id);
        below.len() < before
    }

    /// The primary tells of a member, or that it is none any more.
    pub(super) fn list(&mut self, id: NodeId, listed: bool) {
        if listed && self.hub.roster.len() < ROSTER_MAX {
            self.hub.roster.insert(id);
        } else if !listed {
            self.hub.roster.remove(&id);
        }
    }

    /// A link of somebody below has ended: who was reached by it only, is about to be gone.
    pub(super) fn ways_down(&mut self, link: LinkId, grace: Duration) {
        for id in self.hub.below.remove(&link).unwrap_or_default() {
            self.way_down(id, link, grace);
        }
    }

    fn way_down(&mut self, id: NodeId, link: LinkId, grace: Duration) {
        let Some(ways) = self.hub.ways.get_mut(&id) else {
            return;
        };
        ways.retain(|way| *way != link);
        if ways.is_empty() {
            self.hub.ways.remove(&id);
            let due = self.now + grace;
            self.hub.leaving.insert(id, due);
            self.sweep_by(due);
        }
    }

    /// A node below has left, or is gone: all that it had here goes with it, but its name is kept a
    /// while.
    pub(super) fn member_left(&mut self, id: NodeId, reason: &Failure) {
        for link in self.hub.ways.remove(&id).unwrap_or_default() {
            self.forget_below(link, id);
            if self.is_link_of(link, id) {
                self.outputs.push_back(Output::Close(link, reason.clone()));
                self.forget_link_quietly(link, Change::Disconnected, reason.clone());
            }
        }
        self.hub.leaving.remove(&id);
        self.hub.since.remove(&id);
        self.hub.applicants.remove(&id);
        event!(
            DISCOVERY, INFO, self.id,
            peer = %id.short(), reason = %reason.code,
            "no longer here"
        );
        let leave = Control::Leave {
            id,
            reason: reason.code,
        };
        if self.is_primary() {
            self.hub.names.release(id, self.now);
        } else {
            self.tell_up(leave.clone());
        }
        if self.hub.roster.remove(&id) {
            self.broadcast(leave, None);
        }
        self.member_gone(id, reason);
    }

    /// A neighbour below tells that somebody below it is no longer there.
    pub(super) fn left_below(&mut self, link: LinkId, id: NodeId, reason: Code) {
        if !self.forget_below(link, id) {
            return;
        }
        self.way_down(id, link, Duration::ZERO);
        if self.hub.leaving.contains_key(&id) {
            self.member_left(id, &reason.because("its neighbour no longer sees the node"));
        }
    }

    /// The primary tells of a node that is here by another way: the ways that were known are old.
    pub(super) fn moved_elsewhere(&mut self, id: NodeId) {
        if self.hub.ways.contains_key(&id) {
            event!(
                DISCOVERY, DEBUG, self.id,
                peer = %id.short(),
                "a node below has moved elsewhere"
            );
        }
        self.hub.leaving.remove(&id);
        self.hub.since.remove(&id);
        self.hub.applicants.remove(&id);
        for link in self.hub.ways.remove(&id).unwrap_or_default() {
            self.drop_way(id, link);
        }
    }

    /// The primary tells that a node is gone which is below. It may have forgotten.
    pub(super) fn contradict_leave(&mut self, id: NodeId) -> bool {
        let here = self.hub.ways.contains_key(&id);
        if here {
            self.admit_again(id);
        }
        here
    }

    /// There is a way to the primary again: it is told of everyone below.
    pub(super) fn admit_all_again(&mut self) {
        for id in self.hub.ways.keys().copied().collect::<Vec<_>>() {
            self.admit_again(id);
        }
    }

    fn admit_again(&mut self, id: NodeId) {
        let said = self.hub.applicants.get(&id);
        if let (Some(member), Some(said)) = (self.members.get(&id), said) {
            let mut applicant = said.clone();
            applicant.name = Some(member.name.clone());
            self.admit(Asker::Again, applicant);
        }
    }

    /// There is no way to the primary any more: whoever waits for its answer is told.
    pub(super) fn drop_asked(&mut self) {
        for (_, (_, asked)) in std::mem::take(&mut self.hub.asked) {
            self.answer_unreachable(asked);
        }
    }

    fn answer_unreachable(&mut self, asked: Asked) {
        let failure = Code::Unreachable.because("there is no way to the primary now");
        match asked {
            // It is asked again once there is a way.
            Asked::Admission(Asker::Again, _) => {}
            Asked::Admission(asker, applicant) => {
                self.admitted(asker, applicant, Admission::Refused(failure));
            }
            Asked::Name(link, request) => {
                self.tell(
                    link,
                    &Frame::Control(Control::Resolved { request, id: None }),
                );
            }
        }
    }

    pub(super) fn hub_time(&mut self) {
        let now = self.now;
        let gone: Vec<_> = self
            .hub
            .leaving
            .iter()
            .filter(|(_, due)| **due <= now)
            .collect();
        let gone: Vec<_> = gone.into_iter().map(|(id, _)| *id).collect();
        for id in gone {
            self.member_left(
                id,
                &Code::Gone.because("its link broke and it did not return"),
            );
        }
        let late = self.hub.asked.extract_if(.., |_, (due, _)| *due <= now);
        for (_, (_, asked)) in late.collect::<Vec<_>>() {
            self.answer_unreachable(asked);
        }
    }

    pub(super) fn hub_due(&self) -> Option<Time> {
        let leaving = self.hub.leaving.values().copied();
        leaving
            .chain(self.hub.asked.values().map(|(due, _)| *due))
            .min()
    }

    /// Tells all neighbours below, but for one.
    pub(super) fn broadcast(&mut self, control: Control, but: Option<LinkId>) {
        let frame = Frame::Control(control).encode();
        let below = self.links.iter().filter(|(id, link)| {
            let up = matches!(link.phase, Phase::Up(_));
            up && link.origin == Origin::Accepted && Some(**id) != but
        });
        for id in below.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_encoded(id, frame.clone());
        }
    }
}
