//! The names of a zone, kept by its primary. The first to come has a name while it is here and for a
//! grace time after; whoever comes second gets a number behind it, or a refusal if it insisted.

use std::collections::{BTreeSet, HashMap};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::{Name, NodeId};
use crate::limits::{HELD_NAMES_MAX, NAME_GRACE, NAME_SUFFIX_MAX};

/// Who has which name.
#[derive(Debug, Default)]
pub struct Names {
    by_name: HashMap<Name, Holder>,
    by_id: HashMap<NodeId, Name>,
    /// Nodes that went, by the time at which their name is free.
    away: BTreeSet<(Time, NodeId)>,
}

#[derive(Debug)]
struct Holder {
    id: NodeId,
    /// `None` while the node is here.
    free_at: Option<Time>,
}

impl Names {
    /// Gives `id` a name: the one it asks for if it is free or its own; the one it had, if that came
    /// from the same wish; a numbered one otherwise, unless it insists.
    pub fn claim(
        &mut self,
        id: NodeId,
        wish: Option<Name>,
        insist: bool,
        now: Time,
    ) -> Result<Name, Failure> {
        self.expire(now);
        let held = self.by_id.get(&id).cloned();
        let name = match (wish, held) {
            (None, Some(held)) => held,
            (Some(wish), Some(held)) if !insist && held.descends_from(&wish) => held,
            (Some(wish), _) if self.is_free_for(&wish, id) => wish,
            (Some(wish), _) if insist => {
                return Err(Code::Refused
                    .because(format!("the name `{wish}` belongs to another node"))
                    .of(&wish));
            }
            (Some(wish), _) => self.numbered(&wish, id)?,
            (None, None) => self.numbered_or_same(&default_name(id), id)?,
        };
        self.assign(id, &name);
        Ok(name)
    }

    /// The node went: it keeps its name for the grace time.
    pub fn release(&mut self, id: NodeId, now: Time) {
        self.expire(now);
        let free_at = now + NAME_GRACE;
        let name = self.by_id.get(&id);
        let Some(holder) = name.and_then(|name| self.by_name.get_mut(name)) else {
            return;
        };
        if holder.free_at.is_none() {
            holder.free_at = Some(free_at);
            self.away.insert((free_at, id));
        }
        if self.away.len() > HELD_NAMES_MAX {
            self.forget_next();
        }
    }

    /// Who has `name`, here or away.
    pub fn resolve(&self, name: &Name, now: Time) -> Option<NodeId> {
        let holder = self.by_name.get(name)?;
        holder
            .free_at
            .is_none_or(|free_at| free_at > now)
            .then_some(holder.id)
    }

    fn is_free_for(&self, name: &Name, id: NodeId) -> bool {
        self.by_name.get(name).is_none_or(|holder| holder.id == id)
    }

    fn numbered(&self, wish: &Name, id: NodeId) -> Result<Name, Failure> {
        (2..=NAME_SUFFIX_MAX)
            .map(|number| wish.numbered(number))
            .find(|name| self.is_free_for(name, id))
            .ok_or_else(|| {
                let message = format!("`{wish}` and {NAME_SUFFIX_MAX} names after it are taken");
                Code::Overloaded.because(message)
            })
    }

    fn numbered_or_same(&self, wish: &Name, id: NodeId) -> Result<Name, Failure> {
        if self.is_free_for(wish, id) {
            Ok(wish.clone())
        } else {
            self.numbered(wish, id)
        }
    }

    fn assign(&mut self, id: NodeId, name: &Name) {
        if let Some(old) = self.by_id.insert(id, name.clone())
            && let Some(holder) = self.by_name.remove(&old)
            && let Some(free_at) = holder.free_at
        {
            self.away.remove(&(free_at, id));
        }
        let holder = Holder { id, free_at: None };
        self.by_name.insert(name.clone(), holder);
    }

    fn expire(&mut self, now: Time) {
        while self
            .away
            .first()
            .is_some_and(|(free_at, _)| *free_at <= now)
        {
            self.forget_next();
        }
    }

    /// Frees the name of whoever went first.
    fn forget_next(&mut self) {
        if let Some((_, id)) = self.away.pop_first()
            && let Some(name) = self.by_id.remove(&id)
        {
            self.by_name.remove(&name);
        }
    }
}

fn default_name(id: NodeId) -> Name {
    let name = format!("node-{}", id.short());
    // Base32 is made of letters and digits only; the fallback spares an `unwrap`.
    name.parse()
        .unwrap_or_else(|_| unreachable!("base32 is a name: {name}"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const NOW: Time = Time::from_secs(100);

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn name(text: &str) -> Option<Name> {
        Some(text.parse().unwrap())
    }

    fn claim(names: &mut Names, n: u8, wish: &str) -> String {
        names
            .claim(id(n), name(wish), false, NOW)
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_first_has_the_name_and_the_next_get_numbers() {
        let mut names = Names::default();
        assert_eq!(claim(&mut names, 1, "screen"), "screen");
        assert_eq!(claim(&mut names, 2, "screen"), "screen-2");
        assert_eq!(claim(&mut names, 3, "screen"), "screen-3");
        assert_eq!(names.resolve(&name("screen-2").unwrap(), NOW), Some(id(2)));
    }

    #[test]
    fn whoever_insists_is_refused_rather_than_renamed() {
        let mut names = Names::default();
        claim(&mut names, 1, "screen");
        let failure = names.claim(id(2), name("screen"), true, NOW).unwrap_err();
        assert_eq!(failure.code, Code::Refused);
        assert_eq!(failure.peer.as_deref(), Some("screen"));
        assert_eq!(
            names
                .claim(id(1), name("screen"), true, NOW)
                .unwrap()
                .as_str(),
            "screen"
        );
    }

    #[test]
    fn a_node_that_returns_within_the_grace_time_has_its_name_again() {
        let mut names = Names::default();
        claim(&mut names, 1, "screen");
        claim(&mut names, 2, "screen");
        names.release(id(1), NOW);
        names.release(id(2), NOW);
        assert_eq!(claim(&mut names, 3, "screen"), "screen-3");
        assert_eq!(claim(&mut names, 2, "screen"), "screen-2");
        assert_eq!(
            names.claim(id(1), None, false, NOW).unwrap().as_str(),
            "screen"
        );
    }

    #[test]
    fn after_the_grace_time_a_name_is_free() {
        let mut names = Names::default();
        claim(&mut names, 1, "screen");
        names.release(id(1), NOW);
        let later = NOW + NAME_GRACE;
        assert_eq!(
            names
                .claim(id(2), name("screen"), true, later)
                .unwrap()
                .as_str(),
            "screen"
        );
        assert_eq!(
            names
                .claim(id(1), name("screen"), false, later)
                .unwrap()
                .as_str(),
            "screen-2"
        );
    }

    #[test]
    fn a_node_that_takes_another_name_gives_up_the_old_one() {
        let mut names = Names::default();
        claim(&mut names, 1, "left");
        assert_eq!(claim(&mut names, 1, "right"), "right");
        assert_eq!(names.resolve(&name("left").unwrap(), NOW), None);
        assert_eq!(claim(&mut names, 2, "left"), "left");
    }

    #[test]
    fn a_node_without_a_wish_is_named_after_its_id() {
        let mut names = Names::default();
        let got = names.claim(id(1), None, false, NOW).unwrap();
        assert_eq!(got.as_str(), format!("node-{}", id(1).short()));
        assert_eq!(names.claim(id(1), None, false, NOW).unwrap(), got);
    }

    #[test]
    fn a_name_with_all_its_numbers_taken_is_overloaded() {
        let mut names = Names::default();
        for n in 0..NAME_SUFFIX_MAX {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            names
                .claim(NodeId::from_bytes(bytes), name("x"), false, NOW)
                .unwrap();
        }
        let failure = names.claim(id(9), name("x"), false, NOW).unwrap_err();
        assert_eq!(failure.code, Code::Overloaded);
    }
}
