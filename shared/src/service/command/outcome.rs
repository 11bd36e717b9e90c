//! What came of a line, once it has ended.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;

use crate::error::{Code, Failure};
use crate::limits::OUTPUT_BYTES_MAX;
use crate::service::command::{News, Run, Status, Table, Told};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended: of several targets, [`Status::OK`] if that is so for all.
    pub status: Status,
    /// What it wrote: of several targets, the lines of each after its name.
    pub output: String,
    /// The number of its steps in the logs.
    pub trace: u64,
    /// What came of it at each target, if the line says `@a,b` or `@*`.
    pub results: Vec<TargetResult>,
}

/// What came of a command at one of several targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetResult {
    /// The target, as it was typed; for `@*`, its name.
    pub target: Arc<str>,
    /// How it ended, and what it wrote; or why it did not come to an end there.
    pub result: Result<(Status, String), Failure>,
}

impl Run {
    /// Waits for the end everywhere.
    ///
    /// # Errors
    /// As [`Commands::run`](super::Commands::run)'s.
    pub async fn outcome(self) -> Result<Outcome, Failure> {
        self.outcome_after(|_| {}).await
    }

    /// As [`Run::outcome`], and all that comes before is told as it comes.
    ///
    /// # Errors
    /// The same.
    pub async fn outcome_after(mut self, mut tell: impl FnMut(&Told)) -> Result<Outcome, Failure> {
        let mut results = Vec::with_capacity(self.targets().len());
        while let Some(result) = self.next_result_after(&mut tell).await {
            results.push(result);
        }
        if !self.is_several() {
            let only = results.pop().map(|only| only.result);
            let (status, output) = only.unwrap_or(Ok((Status::OK, String::new())))?;
            return Ok(Outcome {
                status,
                output,
                trace: self.trace,
                results: Vec::new(),
            });
        }
        let places: HashMap<_, _> = self.targets().iter().zip(0..).collect();
        results.sort_by_key(|result| places.get(&result.target));
        let all_well = results.iter().all(TargetResult::is_well);
        Ok(Outcome {
            status: if all_well { Status::OK } else { Status::FAILED },
            output: Table::of(&results),
            trace: self.trace,
            results,
        })
    }

    /// The next target's result, as they end, with all that it wrote; `None` after the last. Who writes
    /// more than is collected has failed, and is interrupted when this is dropped.
    pub async fn next_result(&mut self) -> Option<TargetResult> {
        self.next_result_after(&mut |_| {}).await
    }

    async fn next_result_after(&mut self, tell: &mut impl FnMut(&Told)) -> Option<TargetResult> {
        while !self.collected.texts.is_empty() {
            let told = self.next().await?;
            tell(&told);
            if let Some(result) = self.collected.take(told) {
                return Some(result);
            }
        }
        None
    }
}

impl TargetResult {
    /// Whether the command ended there, and well.
    pub fn is_well(&self) -> bool {
        matches!(self.result, Ok((Status::OK, _)))
    }
}

/// What targets without a result have written so far.
pub(super) struct Collected {
    texts: HashMap<Arc<str>, String>,
    room: usize,
}

impl Collected {
    pub(super) fn new(targets: &[Arc<str>]) -> Self {
        let targets = targets.iter().map(Arc::clone);
        Self {
            texts: targets.map(|target| (target, String::new())).collect(),
            room: OUTPUT_BYTES_MAX,
        }
    }

    fn take(&mut self, told: Told) -> Option<TargetResult> {
        let Told { target, what } = told;
        // One that has a result already may still write.
        let text = self.texts.get_mut(&target)?;
        let result = match what {
            News::Output(more) if more.len() <= self.room => {
                self.room -= more.len();
                text.push_str(&more);
                return None;
            }
            News::Output(_) => {
                let message =
                    format!("expected at most {OUTPUT_BYTES_MAX} bytes of output, got more");
                Err(Code::TooLarge.because(message).of(&target))
            }
            News::End(Ok(status)) => Ok((status, core::mem::take(text))),
            News::End(Err(failure)) => Err(failure),
        };
        self.texts.remove(&target);
        Some(TargetResult { target, result })
    }
}
