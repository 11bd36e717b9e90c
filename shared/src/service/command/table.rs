//! What several targets write, as lines after the name of the one that wrote them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::TABLE_LINE_BYTES_MAX;
use crate::service::command::{News, Run, Status, TargetResult, Told};

/// Makes lines of what targets tell as they tell it: whole ones, and each name where it begins.
pub struct Table {
    width: usize,
    last: Option<Arc<str>>,
    /// Targets that have written, and what is no whole line yet.
    begun: HashMap<Arc<str>, String>,
}

impl Table {
    /// The table of a line that runs.
    pub fn new(run: &Run) -> Self {
        Self::for_names(run.targets().iter())
    }

    /// The lines that can be shown now, each with its line feed.
    pub fn tell(&mut self, told: &Told) -> String {
        match &told.what {
            News::Output(text) => self.write(&told.target, text),
            News::End(Ok(status)) => self.end(&told.target, *status),
            News::End(Err(failure)) => {
                let rest = self.rest(&told.target);
                rest + &self.lines(&told.target, &failure.to_string())
            }
        }
    }

    /// The whole table, in the order of the results.
    pub(super) fn of(results: &[TargetResult]) -> String {
        let mut table = Self::for_names(results.iter().map(|result| &result.target));
        let mut text = String::new();
        for TargetResult { target, result } in results {
            text += &match result {
                Ok((status, output)) => table.write(target, output) + &table.end(target, *status),
                Err(failure) => table.lines(target, &failure.to_string()),
            };
        }
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    fn for_names<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let width = names.map(|name| name.chars().count()).max();
        Self {
            width: width.unwrap_or(0),
            last: None,
            begun: HashMap::new(),
        }
    }

    fn write(&mut self, target: &Arc<str>, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let begun = self.begun.entry(Arc::clone(target)).or_default();
        begun.push_str(text);
        let whole = match begun.rfind('\n') {
            _ if begun.len() > TABLE_LINE_BYTES_MAX => core::mem::take(begun),
            Some(at) => begun.drain(..=at).collect(),
            None => return String::new(),
        };
        self.lines(target, &whole)
    }

    fn end(&mut self, target: &Arc<str>, status: Status) -> String {
        let silent = !self.begun.contains_key(target);
        let rest = self.rest(target);
        match status {
            Status::OK if silent => self.lines(target, "ok"),
            Status::OK => rest,
            Status(number) => rest + &self.lines(target, &format!("exit status {number}")),
        }
    }

    fn rest(&mut self, target: &Arc<str>) -> String {
        match self.begun.remove(target) {
            Some(rest) if !rest.is_empty() => self.lines(target, &rest),
            _ => String::new(),
        }
    }

    fn lines(&mut self, target: &Arc<str>, text: &str) -> String {
        let width = self.width;
        let mut lines = String::new();
        for line in text.lines() {
            let same = self.last.as_ref() == Some(target);
            let name = if same { "" } else { target };
            lines += &format!("{name:width$}  {line}\n");
            self.last = Some(Arc::clone(target));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::error::Code;

    fn told(target: &str, what: News) -> Told {
        Told {
            target: target.into(),
            what,
        }
    }

    #[test]
    fn lines_stand_after_the_name_of_who_wrote_them() {
        let names = ["a".into(), "long".into()];
        let mut table = Table::for_names(names.iter());
        let mut say =
            |target: &str, text: &str| table.tell(&told(target, News::Output(text.into())));
        assert_eq!(say("a", "one\ntwo\nthr"), "a     one\n      two\n");
        assert_eq!(say("long", "x\n"), "long  x\n");
        assert_eq!(say("a", "ee"), "");
        let end = |status| News::End(Ok(Status(status)));
        assert_eq!(table.tell(&told("a", end(0))), "a     three\n");
        assert_eq!(table.tell(&told("long", end(7))), "long  exit status 7\n");
    }

    #[test]
    fn whoever_says_nothing_has_a_line_as_well() {
        let result = |target: &str, result| TargetResult {
            target: target.into(),
            result,
        };
        let text = Table::of(&[
            result("a", Ok((Status::OK, String::new()))),
            result("b", Ok((Status(1), "no".into()))),
            result("c", Err(Code::Gone.because("it went"))),
        ]);
        assert_eq!(text, "a  ok\nb  no\n   exit status 1\nc  gone: it went");
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_forever() {
        let mut table = Table::for_names(["a".into()].iter());
        let long = "x".repeat(TABLE_LINE_BYTES_MAX + 1);
        let shown = table.tell(&told("a", News::Output(long.clone())));
        assert_eq!(shown, format!("a  {long}\n"));
    }
}
