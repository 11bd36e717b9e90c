//! The operations of the zone's nodes, as they tell. Nodes that have some are followed, the others asked now and then.

use std::collections::{BTreeMap, BTreeSet};

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::NodeId;
use peerage::service::operation::Info;

use super::family::{Row, in_order};
use crate::shown::Services;
use crate::zone::now;

/// Nodes of which every change is followed; beyond, they are asked in turn.
const FOLLOWED_MAX: usize = 24;

/// What nodes told last.
#[derive(Clone, Copy)]
pub(crate) struct Feed {
    lists: RwSignal<BTreeMap<NodeId, Told>>,
    /// How many operations run.
    pub(crate) running: Memo<usize>,
    followed: StoredValue<BTreeSet<NodeId>>,
}

#[derive(Clone, PartialEq)]
struct Told {
    /// Milliseconds of the page's clock.
    at: f64,
    list: Vec<Info>,
}

impl Told {
    fn running(&self) -> usize {
        let running = self.list.iter().filter(|info| info.ended_ms.is_none());
        running.count()
    }
}

impl Feed {
    pub(crate) fn new() -> Self {
        let lists = RwSignal::new(BTreeMap::<_, Told>::new());
        let running =
            move |_: Option<&usize>| lists.with(|lists| lists.values().map(Told::running).sum());
        Self {
            lists,
            running: Memo::new(running),
            followed: StoredValue::default(),
        }
    }

    /// All that is known, or that of one node, in the order in which it is read.
    pub(super) fn rows(self, of: Option<NodeId>) -> Vec<Row> {
        let rows = self.lists.with(|lists| {
            let lists = lists.iter();
            let lists = lists.filter(|(node, _)| of.is_none_or(|of| of == **node));
            lists
                .flat_map(|(node, told)| {
                    let list = told.list.iter();
                    list.map(|info| Row::new(*node, info.clone(), told.at))
                })
                .collect()
        });
        in_order(rows)
    }

    /// The tracker of an operation, if it is this node's own.
    pub(super) fn tracker(self, node: NodeId, id: u64) -> Option<String> {
        self.lists.with_untracked(|lists| {
            let mut list = lists.get(&node)?.list.iter();
            list.find(|info| info.id == id)?.tracker.clone()
        })
    }

    /// Asks a node; whether it told.
    pub(crate) async fn ask(self, services: &Services, node: NodeId) -> bool {
        let list = services.operations.list(&node.to_string()).await;
        let Ok(list) = list else {
            self.forget(node);
            return false;
        };
        if self.take(node, list) > 0 && self.may_follow(node) {
            spawn_local(self.follow(services.clone(), node));
        }
        true
    }

    /// Follows a node for as long as something runs there.
    async fn follow(self, services: Services, node: NodeId) {
        let mut listed = services.operations.listed(&node.to_string());
        let mut running = 1;
        while running > 0 {
            running = match listed.next().await {
                Ok(list) => self.take(node, list),
                Err(_) => {
                    self.forget(node);
                    0
                }
            };
        }
        self.followed.update_value(|followed| {
            followed.remove(&node);
        });
    }

    fn may_follow(self, node: NodeId) -> bool {
        let may = self
            .followed
            .try_update_value(|followed| followed.len() < FOLLOWED_MAX && followed.insert(node));
        may == Some(true)
    }

    /// Notes what a node told; how many run there.
    fn take(self, node: NodeId, list: Vec<Info>) -> usize {
        if list.is_empty() {
            self.forget(node);
            return 0;
        }
        let told = Told { at: now(), list };
        let running = told.running();
        self.lists.update(|lists| drop(lists.insert(node, told)));
        running
    }

    fn forget(self, node: NodeId) {
        if self.lists.with_untracked(|lists| lists.contains_key(&node)) {
            self.lists.update(|lists| drop(lists.remove(&node)));
        }
    }
}
