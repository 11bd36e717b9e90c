//! Who gives way when both sides offer at once. The node with the larger id is the polite one.

use crate::id::NodeId;

/// One side's view of an attempt.
#[derive(Clone, Debug)]
pub struct Negotiation {
    polite: bool,
    making_offer: bool,
    ignoring: bool,
}

/// What to do with a description that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Set it; if it is an offer, answer it. An own offer that is open is rolled back by that.
    Apply,
    /// Leave it: the other side will give way.
    Ignore,
}

impl Negotiation {
    /// Begins an attempt of `own` with `peer`.
    pub fn new(own: NodeId, peer: NodeId) -> Self {
        Self {
            polite: own > peer,
            making_offer: false,
            ignoring: false,
        }
    }

    /// An own offer is being made, until it is set.
    pub fn making_offer(&mut self, making: bool) {
        self.making_offer = making;
    }

    /// An offer came; `stable` if the connection has no offer open.
    pub fn offer_came(&mut self, stable: bool) -> Decision {
        let collision = self.making_offer || !stable;
        self.ignoring = !self.polite && collision;
        if self.ignoring {
            Decision::Ignore
        } else {
            Decision::Apply
        }
    }

    /// An answer came; `offered` if the connection has an own offer open.
    pub fn answer_came(&mut self, offered: bool) -> Decision {
        self.ignoring = false;
        if offered {
            Decision::Apply
        } else {
            Decision::Ignore
        }
    }

    /// A candidate came. Those of an ignored offer are ignored as well.
    pub fn candidate_came(&self) -> Decision {
        if self.ignoring {
            Decision::Ignore
        } else {
            Decision::Apply
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn pair() -> (Negotiation, Negotiation) {
        let (a, b) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        (Negotiation::new(a, b), Negotiation::new(b, a))
    }

    #[test]
    fn when_both_offer_at_once_exactly_one_gives_way() {
        let (mut a, mut b) = pair();
        a.making_offer(true);
        b.making_offer(true);
        assert_eq!(a.offer_came(true), Decision::Ignore);
        assert_eq!(b.offer_came(true), Decision::Apply);
        a.making_offer(false);
        assert_eq!(a.candidate_came(), Decision::Ignore, "of the ignored offer");
        assert_eq!(a.answer_came(true), Decision::Apply);
        assert_eq!(a.candidate_came(), Decision::Apply);
    }

    #[test]
    fn an_offer_without_a_collision_is_answered_by_either() {
        let (mut a, mut b) = pair();
        assert_eq!(a.offer_came(true), Decision::Apply);
        assert_eq!(b.offer_came(true), Decision::Apply);
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_ignored() {
        let (mut a, _) = pair();
        assert_eq!(a.answer_came(false), Decision::Ignore);
    }
}
