//! A zone in memory, for tests of services: nodes with their drivers, links that carry packets at once,
//! and a clock that moves when nothing else does.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::link::{LinkId, Origin};
use crate::node::{Action, Driver, Input, Node};
use crate::{Config, Identity, Kind, Time};

/// How far time moves at once: no test waits for longer in vain.
const TIME_MAX: Time = Time::from_secs(600);

/// A short while, in which messages travel.
pub(super) const WHILE: Time = Time::from_millis(100);

/// Nodes by number; the relay is number 0.
pub(super) struct Zone {
    nodes: Vec<(Node, Driver)>,
    /// The other end of each link.
    links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    wire: VecDeque<(usize, LinkId, Bytes)>,
    /// Programs of the nodes, which run beside what a test waits for.
    programs: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    next_link: u64,
    /// Nodes that are no more.
    dead: BTreeSet<usize>,
    pub(super) now: Time,
}

impl Zone {
    /// A zone with its relay, by the name `relay`.
    pub(super) fn new() -> Self {
        let mut zone = Self {
            nodes: Vec::new(),
            links: BTreeMap::new(),
            wire: VecDeque::new(),
            programs: Vec::new(),
            next_link: 0,
            dead: BTreeSet::new(),
            now: Time::from_secs(1),
        };
        zone.add(Config::new(Kind::Relay), "relay");
        zone
    }

    /// A node of this name, online.
    pub(super) fn join(&mut self, name: &str) -> Node {
        self.join_with(name, |_| {})
    }

    /// As [`Zone::join`], with a configuration that is changed a little.
    pub(super) fn join_with(&mut self, name: &str, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = Config::new(Kind::Native);
        change(&mut config);
        let node = self.add(config, name);
        let online = node.clone();
        self.run(async move { online.online(false).await }).unwrap();
        node
    }

    /// The node of a number.
    pub(super) fn node(&self, number: usize) -> &Node {
        &self.nodes[number].0
    }

    /// Runs a program from now on: it has begun when this returns.
    pub(super) fn spawn(&mut self, program: impl Future<Output = ()> + 'static) {
        let mut program = Box::pin(program);
        let mut cx = Context::from_waker(Waker::noop());
        if program.as_mut().poll(&mut cx).is_pending() {
            self.programs.push(program);
        }
    }

    /// What comes of `work`, while everyone else goes on.
    pub(super) fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        let end = self.now + TIME_MAX;
        loop {
            self.settle();
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(done) = work.as_mut().poll(&mut cx) {
                self.settle();
                return done;
            }
            if !self.settle() {
                assert!(self.now < end, "nothing came of it in {TIME_MAX:?}");
                self.pass();
            }
        }
    }

    /// Lets time pass, with all that happens in it.
    pub(super) fn sleep(&mut self, duration: Time) {
        let sleeper = self.nodes[0].0.clone();
        self.run(async move { sleeper.sleep(duration).await });
    }

    /// A node takes what comes and does nothing more.
    pub(super) fn stall(&mut self, number: usize) {
        self.dead.insert(number);
    }

    /// A node vanishes without a word.
    pub(super) fn kill(&mut self, number: usize) {
        self.dead.insert(number);
        let ends: Vec<_> = self
            .links
            .keys()
            .filter(|(n, _)| *n == number)
            .copied()
            .collect();
        for end in ends {
            let Some((far, link)) = self.links.remove(&end) else {
                continue;
            };
            self.links.remove(&(far, link));
            let driver = &self.nodes[far].1;
            driver.handle(self.now, Input::LinkDown(link, "cut".into()));
        }
    }

    fn add(&mut self, config: Config, name: &str) -> Node {
        let secret = self.nodes.len() as u8 + 1;
        let identity = Identity::from_secret(&[secret; 32]);
        let config = config.named(name.parse().unwrap());
        let (node, driver) = Driver::new(config, identity, [secret ^ 0x5a; 32], self.now);
        self.nodes.push((node.clone(), driver));
        node
    }

    /// Lets everyone do what there is to do now; whether there was anything.
    fn settle(&mut self) -> bool {
        let mut any = false;
        loop {
            let mut busy = self.act();
            if let Some((number, link, packet)) = self.wire.pop_front() {
                let driver = &self.nodes[number].1;
                driver.handle(self.now, Input::Packet(link, packet));
                busy = true;
            }
            if !busy {
                let mut cx = Context::from_waker(Waker::noop());
                self.programs
                    .retain_mut(|program| program.as_mut().poll(&mut cx).is_pending());
                if !self.act() && self.wire.is_empty() {
                    return any;
                }
            }
            any = true;
        }
    }

    fn act(&mut self) -> bool {
        let mut busy = false;
        let mut cx = Context::from_waker(Waker::noop());
        for number in 0..self.nodes.len() {
            let action = |zone: &Self, cx: &mut Context<'_>| {
                let driver = &zone.nodes[number].1;
                let mut next = poll_fn(|cx| driver.poll_action(zone.now, cx));
                Pin::new(&mut next).poll(cx)
            };
            while !self.dead.contains(&number)
                && let Poll::Ready(action) = action(self, &mut cx)
            {
                if matches!(action, Action::Finish) {
                    break;
                }
                busy = true;
                self.perform(number, action);
            }
        }
        busy
    }

    fn perform(&mut self, number: usize, action: Action) {
        match action {
            Action::Dial => {
                let (here, there) = (LinkId(self.next_link), LinkId(self.next_link + 1));
                self.next_link += 2;
                self.links.insert((number, here), (0, there));
                self.links.insert((0, there), (number, here));
                for (number, link, origin) in [
                    (number, here, Origin::Dialled),
                    (0, there, Origin::Accepted),
                ] {
                    let driver = &self.nodes[number].1;
                    driver.handle(self.now, Input::LinkUp(link, origin));
                }
            }
            Action::DialAt(_) => {
                // There is one relay, and no other address.
                let failed = Input::DialFailed("nobody is there".into());
                self.nodes[number].1.handle(self.now, failed);
            }
            Action::Send(link, packet) => {
                if let Some((far, far_link)) = self.links.get(&(number, link)) {
                    self.wire.push_back((*far, *far_link, packet));
                }
            }
            Action::Close(link, _) => {
                if let Some((far, far_link)) = self.links.remove(&(number, link)) {
                    self.links.remove(&(far, far_link));
                    let driver = &self.nodes[far].1;
                    // What was sent before the end still arrives.
                    self.wire.retain(|(n, link, packet)| {
                        let last_words = (*n, *link) == (far, far_link);
                        if last_words {
                            driver.handle(self.now, Input::Packet(*link, packet.clone()));
                        }
                        !last_words
                    });
                    driver.handle(self.now, Input::LinkDown(far_link, "closed".into()));
                }
            }
            Action::Finish => {}
        }
    }

    /// Time passes to the next thing that is due.
    fn pass(&mut self) {
        let due = self
            .nodes
            .iter()
            .filter_map(|(_, driver)| driver.deadline());
        let least = self.now + Time::from_millis(1);
        self.now = due.min().unwrap_or(least).max(least);
    }
}
