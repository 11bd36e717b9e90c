//! A zone in memory, for the tests of services: a relay and nodes with it, each run as its platform would,
//! in one thread and with a clock of its own.

use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::link::{LinkId, Origin};
use crate::node::{Action, Driver, Input};
use crate::{Config, Identity, Kind, Node, Time};

/// How long nothing may happen, in the zone's own time, before a wait is given up.
const PATIENCE: Time = Time::from_secs(600);

pub(crate) struct Zone {
    members: Vec<Member>,
    /// Where the other end of a link is.
    links: HashMap<LinkId, (usize, LinkId)>,
    packets: VecDeque<(usize, LinkId, Bytes)>,
    tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    now: Time,
    last_link: u64,
}

struct Member {
    node: Node,
    driver: Driver,
    /// Whether it can reach the relay.
    up: bool,
}

impl Zone {
    /// A relay, which is member 0, and nodes by these names.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut zone = Self {
            members: Vec::new(),
            links: HashMap::new(),
            packets: VecDeque::new(),
            tasks: Vec::new(),
            now: Time::from_secs(1),
            last_link: 0,
        };
        zone.add(Kind::Relay, "relay");
        names.iter().for_each(|name| zone.add(Kind::Native, name));
        zone.settle();
        zone
    }

    fn add(&mut self, kind: Kind, name: &str) {
        let seed = self.members.len() as u8 + 1;
        let config = Config::new(kind).named(name.parse().unwrap());
        let identity = Identity::from_secret(&[seed; 32]);
        let (node, driver) = Driver::new(config, identity, [seed ^ 0x5a; 32], self.now);
        let up = true;
        self.members.push(Member { node, driver, up });
    }

    /// A member, by its number.
    pub(crate) fn node(&self, n: usize) -> &Node {
        &self.members[n].node
    }

    /// Runs something beside all else.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Box::pin(task));
    }

    /// Runs the zone until this has come to its end.
    pub(crate) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let end = self.now + PATIENCE;
        loop {
            self.settle();
            if let Poll::Ready(result) = future.as_mut().poll(&mut nobody()) {
                self.settle();
                return result;
            }
            // What the future has just begun may be done at once.
            if self.settle() {
                continue;
            }
            assert!(self.now < end, "it does not come to its end");
            self.now = self.next_deadline().min(end);
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, time: Time) {
        let end = self.now + time;
        self.settle();
        while self.now < end {
            self.now = self.next_deadline().min(end);
            self.settle();
        }
    }

    /// A member vanishes without a word, for ever.
    pub(crate) fn kill(&mut self, n: usize) {
        self.members[n].up = false;
        let is_of = |(link, (far, far_link)): (&LinkId, &(usize, LinkId))| {
            (*far == n).then_some((*link, *far_link))
        };
        let links: Vec<_> = self.links.iter().filter_map(is_of).collect();
        for (near, far) in links {
            let peer = self.links.remove(&far).map(|(peer, _)| peer);
            self.links.remove(&near);
            if let Some(peer) = peer {
                let down = Input::LinkDown(near, String::from("cut"));
                self.members[peer].driver.handle(self.now, down);
            }
        }
        self.settle();
    }

    fn next_deadline(&self) -> Time {
        let alive = self.members.iter().filter(|member| member.up);
        let next = alive.filter_map(|member| member.driver.deadline()).min();
        let soon = self.now + Time::from_millis(1);
        next.map_or(soon, |next| next.max(soon))
    }

    /// Lets everyone do what there is to do now; whether there was anything.
    fn settle(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut busy = false;
            for n in 0..self.members.len() {
                while self.members[n].up
                    && let Poll::Ready(action) =
                        self.members[n].driver.poll_action(self.now, &nobody())
                    && !matches!(action, Action::Finish)
                {
                    busy = true;
                    self.perform(n, action);
                }
            }
            while let Some((n, link, packet)) = self.packets.pop_front() {
                busy = true;
                let input = Input::Packet(link, packet);
                self.members[n].driver.handle(self.now, input);
            }
            self.tasks
                .retain_mut(|task| task.as_mut().poll(&mut nobody()).is_pending());
            any |= busy;
            if !busy {
                return any;
            }
        }
    }

    fn perform(&mut self, n: usize, action: Action) {
        match action {
            Action::Dial => {
                self.last_link += 2;
                let (near, far) = (LinkId(self.last_link), LinkId(self.last_link + 1));
                self.links.insert(near, (0, far));
                self.links.insert(far, (n, near));
                let now = self.now;
                let up = |origin, link| Input::LinkUp(link, origin);
                self.members[n]
                    .driver
                    .handle(now, up(Origin::Dialled, near));
                self.members[0]
                    .driver
                    .handle(now, up(Origin::Accepted, far));
            }
            Action::Send(link, packet) => {
                if let Some((far, far_link)) = self.links.get(&link) {
                    self.packets.push_back((*far, *far_link, packet));
                }
            }
            Action::Close(link, _) => {
                // What was sent before the end has arrived: packets take no time.
                while let Some((n, link, packet)) = self.packets.pop_front() {
                    let input = Input::Packet(link, packet);
                    self.members[n].driver.handle(self.now, input);
                }
                if let Some((far, far_link)) = self.links.remove(&link) {
                    self.links.remove(&far_link);
                    let down = Input::LinkDown(far_link, String::from("closed"));
                    self.members[far].driver.handle(self.now, down);
                }
            }
            Action::Finish => {}
        }
    }
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
