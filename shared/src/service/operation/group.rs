//! Operations of several parts, at once or one after another: how far they are together.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use super::client::Operation;
use super::wire::{Progress, Unsuccessful};
use super::work::Work;
use crate::Time;
use crate::rpc::Parcel;

/// A part of a sequence, which is started when the one before it has succeeded.
pub struct Step {
    start: Box<dyn FnOnce(&Work) -> Operation + Send>,
    lasts: Option<Time>,
}

impl Step {
    /// What starts it.
    pub fn new(start: impl FnOnce(&Work) -> Operation + Send + 'static) -> Self {
        Self {
            start: Box::new(start),
            lasts: None,
        }
    }

    /// The same, which will take about this long: steps weigh as long as they last, if that is known of
    /// all.
    #[must_use]
    pub fn lasting(self, lasts: Time) -> Self {
        let lasts = Some(lasts);
        Self { lasts, ..self }
    }
}

impl Work {
    /// Waits for all of these, telling how far they are together. The first that does not succeed aborts
    /// the others.
    ///
    /// # Errors
    /// Why that one did not.
    pub async fn parallel(&self, parts: Vec<Operation>) -> Result<Vec<Parcel>, Unsuccessful> {
        let mut parts: Vec<_> = parts.into_iter().map(Part::new).collect();
        poll_fn(|cx| {
            let mut note = None;
            let mut is_news = false;
            for part in &mut parts {
                is_news |= part.poll(cx, &mut note)?;
            }
            if is_news {
                self.progress(together(&parts).with_note(note));
            }
            let all_done = parts.iter().all(|part| part.value.is_some());
            match all_done {
                true => Poll::Ready(Ok::<_, Unsuccessful>(())),
                false => Poll::Pending,
            }
        })
        .await?;
        Ok(parts.into_iter().filter_map(|part| part.value).collect())
    }

    /// Does these one after another, telling how far they are together. The first that does not succeed
    /// is the last.
    ///
    /// # Errors
    /// Why that one did not.
    pub async fn sequence(&self, steps: Vec<Step>) -> Result<Vec<Parcel>, Unsuccessful> {
        let weights = weights(&steps);
        let mut values = Vec::new();
        let mut later: Time = steps.iter().filter_map(|step| step.lasts).sum();
        let mut unknown = steps.iter().filter(|step| step.lasts.is_none()).count();
        let mut done = 0.0;
        for (step, weight) in steps.into_iter().zip(weights) {
            later -= step.lasts.unwrap_or_default();
            unknown -= usize::from(step.lasts.is_none());
            let mut part = Part::new((step.start)(self));
            poll_fn(|cx| {
                let mut note = None;
                if part.poll(cx, &mut note)? {
                    let fraction = done + weight * part.fraction();
                    let remaining = part.remaining().filter(|_| unknown == 0);
                    let progress = Progress {
                        remaining: remaining.map(|left| left.saturating_add(later)),
                        ..Progress::of(fraction)
                    };
                    self.progress(progress.with_note(note));
                }
                match part.value {
                    Some(_) => Poll::Ready(Ok::<_, Unsuccessful>(())),
                    None => Poll::Pending,
                }
            })
            .await?;
            done += weight;
            values.extend(part.value);
        }
        Ok(values)
    }
}

/// One of several.
struct Part {
    operation: Operation,
    progress: Progress,
    value: Option<Parcel>,
}

impl Part {
    fn new(operation: Operation) -> Self {
        Self {
            operation,
            progress: Progress::default(),
            value: None,
        }
    }

    /// Whether there is news of it; its note, if it has one.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        note: &mut Option<String>,
    ) -> Result<bool, Unsuccessful> {
        let mut is_news = false;
        while self.value.is_none() {
            match self.operation.poll_progress(cx) {
                Poll::Ready(Some(progress)) => {
                    note.clone_from(&progress.note);
                    self.progress = progress;
                }
                Poll::Ready(None) => {
                    let result = Pin::new(&mut self.operation).poll(cx);
                    if let Poll::Ready(result) = result {
                        self.value = Some(result?);
                    }
                }
                Poll::Pending => break,
            }
            is_news = true;
        }
        Ok(is_news)
    }

    fn fraction(&self) -> f64 {
        match self.value {
            Some(_) => 1.0,
            None => self.progress.fraction.unwrap_or_default(),
        }
    }

    fn remaining(&self) -> Option<Time> {
        match self.value {
            Some(_) => Some(Time::ZERO),
            None => self.progress.remaining,
        }
    }
}

impl Progress {
    fn with_note(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }
}

/// How far parts are that go on at once: what takes longest says how long it takes.
fn together(parts: &[Part]) -> Progress {
    let fractions: f64 = parts.iter().map(Part::fraction).sum();
    let remaining: Option<Vec<_>> = parts.iter().map(Part::remaining).collect();
    Progress {
        remaining: remaining.and_then(|all| all.into_iter().max()),
        ..Progress::of(fractions / parts.len().max(1) as f64)
    }
}

/// What part of the whole each step is.
fn weights(steps: &[Step]) -> Vec<f64> {
    let lasting: Option<Vec<_>> = steps.iter().map(|step| step.lasts).collect();
    let whole: Time = lasting.iter().flatten().sum();
    match lasting {
        Some(lasting) if !whole.is_zero() => {
            let share = |lasts: Time| lasts.as_secs_f64() / whole.as_secs_f64();
            lasting.into_iter().map(share).collect()
        }
        _ => vec![1.0 / steps.len().max(1) as f64; steps.len()],
    }
}
