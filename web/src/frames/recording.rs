//! The record of what this node sends and receives: a ring of the latest.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::NodeId;
use peerage::link::LinkId;
use peerage::node::{Captured, Direction, What};

use crate::shown::{Services, Shown};
use crate::zone::name_in;

/// Frames that are kept.
const FRAMES_MAX: usize = 5000;
/// How often what has passed is shown.
const SHOW_EVERY: Duration = Duration::from_millis(250);

/// Something that was sent or received.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    /// Its place among all that were ever recorded.
    pub(super) number: u64,
    /// Milliseconds since 1970.
    pub(super) time: f64,
    pub(super) way: Direction,
    /// The name of the other node, or which link it is.
    pub(super) peer: String,
    /// What is spoken; of a link's frame, what it is about.
    pub(super) protocol: String,
    pub(super) kind: &'static str,
    /// All that it has, of which `bytes` may be the beginning only.
    pub(super) size: usize,
    pub(super) bytes: Bytes,
}

/// The record. It goes on while other views are shown.
#[derive(Clone, Copy)]
pub(crate) struct Recording {
    /// The oldest first.
    pub(super) frames: RwSignal<VecDeque<Frame>>,
    /// How many passed unseen.
    pub(super) missed: RwSignal<u64>,
    pub(super) is_on: RwSignal<bool>,
    has_begun: StoredValue<bool>,
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self {
            frames: RwSignal::default(),
            missed: RwSignal::new(0),
            is_on: RwSignal::new(true),
            has_begun: StoredValue::new(false),
        }
    }

    /// Begins to record, unless that was begun before.
    pub(super) fn begin(self, shown: Shown, services: Services) {
        let before = self
            .has_begun
            .try_update_value(|has_begun| core::mem::replace(has_begun, true));
        if before == Some(false) {
            spawn_local(self.record(shown, services));
        }
    }

    async fn record(self, shown: Shown, services: Services) {
        let node = &services.node;
        let mut number = 0;
        loop {
            while !self.is_on.get_untracked() {
                node.sleep(SHOW_EVERY).await;
            }
            let tap = node.tap();
            loop {
                node.sleep(SHOW_EVERY).await;
                // Who has paused it sees nothing come any more.
                if !self.is_on.get_untracked() {
                    break;
                }
                let (captured, missed) = tap.take();
                if missed > 0 {
                    self.missed.update(|sum| *sum += missed);
                }
                if captured.is_empty() {
                    continue;
                }
                let links = links(&services);
                let frame = |captured| {
                    number += 1;
                    frame(shown, &links, number, captured)
                };
                let captured: Vec<_> = captured.into_iter().map(frame).collect();
                self.frames.update(|frames| {
                    frames.extend(captured);
                    let surplus = frames.len().saturating_sub(FRAMES_MAX);
                    frames.drain(..surplus);
                });
            }
        }
    }

    pub(super) fn clear(self) {
        self.frames.update(VecDeque::clear);
        self.missed.set(0);
    }
}

/// The frame of a number, which follow each other.
pub(super) fn find(frames: &VecDeque<Frame>, number: u64) -> Option<&Frame> {
    let first = frames.front()?.number;
    frames.get(usize::try_from(number.checked_sub(first)?).ok()?)
}

/// Who is at the other end of each link.
fn links(services: &Services) -> BTreeMap<LinkId, NodeId> {
    let connections = services.node.connections().into_iter();
    connections
        .filter_map(|connection| Some((connection.link?, connection.node?)))
        .collect()
}

fn frame(shown: Shown, links: &BTreeMap<LinkId, NodeId>, number: u64, captured: Captured) -> Frame {
    let name = |id| shown.zone.nodes.with_untracked(|nodes| name_in(nodes, id));
    let (peer, protocol, kind) = match captured.what {
        What::Message { peer, protocol, .. } => (name(peer), protocol, "message"),
        What::Datagram { peer, protocol } => (name(peer), protocol, "datagram"),
        What::Frame { link, kind, detail } => {
            let peer = links.get(&link).copied();
            let peer = peer.map_or_else(|| format!("link {}", link.0), name);
            (peer, detail, kind)
        }
    };
    let origin = window()
        .performance()
        .map_or(0.0, |clock| clock.time_origin());
    Frame {
        number,
        time: origin + captured.at.as_secs_f64() * 1000.0,
        way: captured.direction,
        peer,
        protocol,
        kind,
        size: captured.size,
        bytes: captured.bytes,
    }
}
