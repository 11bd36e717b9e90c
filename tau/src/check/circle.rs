//! Records within records: one that contains itself would have no end.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Position, Problem, TauError};

/// Which record has which other in itself; not in a list, where it may end.
#[derive(Debug, Default)]
pub(super) struct Contained {
    parts: BTreeMap<String, Vec<(String, Position)>>,
}

impl Contained {
    /// Notes that a field of `whole` is a `part`, by their full names.
    pub(super) fn note(&mut self, whole: &str, part: String, at: Position) {
        let parts = self.parts.entry(whole.to_owned()).or_default();
        parts.push((part, at));
    }

    /// That no record contains itself.
    pub(super) fn must_end(mut self) -> Result<(), TauError> {
        self.drop_what_ends();
        let Some(start) = self.parts.keys().next() else {
            return Ok(());
        };
        // All that is left leads into a circle: so go on until a name comes again.
        let mut path: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut here = (start.as_str(), Position { line: 1, column: 1 });
        while seen.insert(here.0) {
            path.push(here.0);
            if let Some((part, at)) = self.parts.get(here.0).and_then(|parts| parts.first()) {
                here = (part, *at);
            }
        }
        path.push(here.0);
        let circle: Vec<&str> = path
            .into_iter()
            .skip_while(|name| *name != here.0)
            .collect();
        let why = ", each with the next in itself; a list of it, as `T[]`, may be empty";
        let path = circle.join(", ");
        Err(Problem::Circle { path, why }.at(here.1))
    }

    /// Takes away the records whose parts all end, which leaves those that lead into a circle.
    fn drop_what_ends(&mut self) {
        let mut wholes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (whole, parts) in &self.parts {
            for (part, _) in parts {
                wholes.entry(part).or_default().push(whole);
            }
        }
        // How many parts of each are not known to end.
        let counts = self
            .parts
            .iter()
            .map(|(whole, parts)| (whole.as_str(), parts.len()));
        let mut open: BTreeMap<&str, usize> = counts.collect();
        let mut ended: Vec<&str> = wholes.keys().copied().collect();
        ended.retain(|part| !open.contains_key(part));
        while let Some(part) = ended.pop() {
            for whole in wholes.get(part).into_iter().flatten() {
                let Some(count) = open.get_mut(whole) else {
                    continue;
                };
                *count -= 1;
                if *count == 0 {
                    open.remove(whole);
                    ended.push(whole);
                }
            }
        }
        let open: BTreeSet<String> = open.into_keys().map(str::to_owned).collect();
        self.parts.retain(|whole, _| open.contains(whole));
        for parts in self.parts.values_mut() {
            parts.retain(|(part, _)| open.contains(part));
        }
    }
}
