//! Operations in the order in which they are read: what runs first, parts under what they are parts of; and when
//! each ran.

use std::collections::{BTreeMap, BTreeSet};

use peerage::NodeId;
use peerage::service::operation::Info;

/// Milliseconds that are shown of the past, at least and at most.
const SHOWN_MS: (f64, f64) = (10_000.0, 300_000.0);
/// How deep parts are moved in.
const DEPTH_MAX: usize = 8;

/// An operation, with its place among the others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its node, and its number there.
    pub(super) key: (NodeId, u64),
    pub(super) info: Info,
    /// Of how many others it is a part, one in the other.
    pub(super) depth: usize,
    /// When it was started and when it ended, in milliseconds of the page's clock.
    pub(super) begun: f64,
    pub(super) ended: Option<f64>,
}

/// The time that is shown, in milliseconds of the page's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    from: f64,
    to: f64,
}

impl Row {
    /// An operation as its node told of it at this time.
    pub(super) fn new(node: NodeId, info: Info, told: f64) -> Self {
        Self {
            key: (node, info.id),
            depth: 0,
            begun: told - info.age_ms,
            ended: info.ended_ms.map(|ago| told - ago),
            info,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// How far it is, if that is known and it still runs.
    pub(super) fn fraction(&self) -> Option<f64> {
        self.info.fraction.filter(|_| self.is_running())
    }

    /// Whether each word of a filter is somewhere in it.
    pub(super) fn is_wanted(&self, node: &str, wanted: &str) -> bool {
        let info = &self.info;
        let words = [info.reason.as_deref(), info.note.as_deref()];
        let [reason, note] = words.map(Option::unwrap_or_default);
        let text = format!(
            "{} #{} {node} {} {note} {reason}",
            info.name, info.id, info.state
        );
        let text = text.to_lowercase();
        wanted.split_whitespace().all(|word| text.contains(word))
    }

    /// How others name it as what they are a part of.
    fn as_parent(&self) -> String {
        format!("{}/{}", self.key.0.short(), self.key.1)
    }
}

/// Puts them in order. A family is where its oldest is: what runs first, and then the latest.
pub(super) fn in_order(rows: Vec<Row>) -> Vec<Row> {
    let known: BTreeSet<_> = rows.iter().map(Row::as_parent).collect();
    let mut parts = BTreeMap::<String, Vec<Row>>::new();
    let mut oldest = Vec::new();
    for row in rows {
        match row
            .info
            .parent
            .clone()
            .filter(|parent| known.contains(parent))
        {
            Some(parent) => parts.entry(parent).or_default().push(row),
            None => oldest.push(row),
        }
    }
    oldest.sort_by(|a, b| {
        let order = b.is_running().cmp(&a.is_running());
        order.then(b.begun.total_cmp(&a.begun))
    });
    let mut open: Vec<_> = oldest.into_iter().rev().collect();
    let mut ordered = Vec::new();
    while let Some(row) = open.pop() {
        if let Some(mut own) = parts.remove(&row.as_parent()) {
            own.sort_by(|a, b| b.begun.total_cmp(&a.begun));
            let depth = (row.depth + 1).min(DEPTH_MAX);
            open.extend(own.into_iter().map(|part| Row { depth, ..part }));
        }
        ordered.push(row);
    }
    // Who says to be a part of his own parts is still there.
    ordered.extend(parts.into_values().flatten());
    ordered
}

impl Span {
    /// The time in which these ran, until now.
    pub(super) fn of(rows: &[Row], now: f64) -> Self {
        let first = rows.iter().map(|row| row.begun).fold(now, f64::min);
        let wide = (now - first).clamp(SHOWN_MS.0, SHOWN_MS.1);
        // It grows by steps, not all the time.
        let step = 10f64.powf(wide.log10().floor()) / 2.0;
        let wide = ((wide / step).ceil() * step).min(SHOWN_MS.1);
        Self {
            from: now - wide,
            to: now,
        }
    }

    /// How much time it is.
    pub(super) fn wide(self) -> f64 {
        self.to - self.from
    }

    /// Where the time of an operation is in it, as a style.
    pub(super) fn bar(self, row: &Row) -> String {
        let place = |time: f64| ((time - self.from) / self.wide()).clamp(0.0, 1.0) * 100.0;
        let (from, to) = (place(row.begun), place(row.ended.unwrap_or(self.to)));
        format!("left:{from:.2}%;width:{:.2}%", to - from)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn row(id: u64, parent: Option<u64>, begun: f64, ended: Option<f64>) -> Row {
        let node = NodeId::from_bytes([1; 32]);
        let info = Info {
            id,
            name: format!("pour-{id}"),
            state: if ended.is_some() {
                "success"
            } else {
                "running"
            }
            .into(),
            caller: String::new(),
            is_public: true,
            parent: parent.map(|parent| format!("{}/{parent}", node.short())),
            tracker: None,
            fraction: Some(0.5),
            remaining_ms: None,
            note: Some("Filling".into()),
            reason: None,
            age_ms: 1000.0 - begun,
            ended_ms: ended.map(|ended| 1000.0 - ended),
        };
        Row::new(node, info, 1000.0)
    }

    fn ids(rows: Vec<Row>) -> Vec<(u64, usize)> {
        let rows = in_order(rows).into_iter();
        rows.map(|row| (row.info.id, row.depth)).collect()
    }

    #[test]
    fn what_runs_is_first_and_parts_are_under_what_they_are_parts_of() {
        let rows = vec![
            row(1, None, 100.0, Some(200.0)),
            row(2, None, 300.0, Some(400.0)),
            row(3, None, 50.0, None),
            row(4, Some(3), 70.0, None),
            row(5, Some(3), 60.0, Some(80.0)),
            row(6, Some(4), 75.0, None),
            row(7, Some(99), 10.0, Some(20.0)),
        ];
        let expected = [(3, 0), (5, 1), (4, 1), (6, 2), (2, 0), (1, 0), (7, 0)];
        assert_eq!(ids(rows), expected);
    }

    #[test]
    fn a_circle_of_parts_loses_nobody_and_ends() {
        let rows = vec![row(1, Some(2), 0.0, None), row(2, Some(1), 0.0, None)];
        assert_eq!(ids(rows).len(), 2);
    }

    #[test]
    fn a_bar_is_where_its_time_is() {
        let rows = [row(1, None, 0.0, Some(500.0)), row(2, None, 500.0, None)];
        let span = Span::of(&rows, 1000.0);
        assert_eq!(span.wide(), 10_000.0);
        assert_eq!(span.bar(&rows[0]), "left:90.00%;width:5.00%");
        assert_eq!(span.bar(&rows[1]), "left:95.00%;width:5.00%");
    }

    #[test]
    fn a_filter_finds_words_anywhere() {
        let row = row(3, None, 0.0, None);
        assert!(row.is_wanted("Dispenser", "fill dispenser running"));
        assert!(row.is_wanted("x", "pour-3 #3"));
        assert!(!row.is_wanted("x", "pour success"));
    }
}
