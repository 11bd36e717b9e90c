//! Figures as lines: a small one beside a number, and a large one with its scale.

use std::collections::VecDeque;

use leptos::prelude::*;

use crate::units::millis;

/// What stands for a figure that is missing: none is below zero.
const MISSING: f32 = -1.0;

/// The last figures of something, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(VecDeque<f32>);

impl Samples {
    /// Adds one, and forgets the oldest beyond `most`.
    pub(crate) fn push(&mut self, sample: Option<f64>, most: usize) {
        self.0
            .push_back(sample.map_or(MISSING, |sample| sample as f32));
        let surplus = self.0.len().saturating_sub(most);
        self.0.drain(..surplus);
    }

    /// The last one.
    pub(crate) fn last(&self) -> Option<f64> {
        let last = self.0.back().copied()?;
        (last > MISSING).then_some(f64::from(last))
    }

    fn known(&self) -> impl Iterator<Item = f64> {
        let known = self.0.iter().copied().filter(|sample| *sample > MISSING);
        known.map(f64::from)
    }

    /// The least, the mean and the greatest; nothing if there is none.
    pub(crate) fn range(&self) -> Option<(f64, f64, f64)> {
        let count = self.known().count();
        let mean = self.known().sum::<f64>() / count as f64;
        let least = self.known().fold(f64::INFINITY, f64::min);
        let greatest = self.known().fold(0.0, f64::max);
        (count > 0).then_some((least, mean, greatest))
    }

    /// How many are missing.
    pub(crate) fn missing(&self) -> usize {
        self.0.iter().filter(|sample| **sample == MISSING).count()
    }

    /// The line through them, as the `d` of an SVG path, in a box of this size in which `top` is the highest
    /// figure and `room` as many as fit. It is broken where one is missing.
    fn line(&self, (width, height): (f64, f64), top: f64, room: usize) -> String {
        let step = width / (room.max(2) - 1) as f64;
        let first = room.saturating_sub(self.0.len());
        let (mut path, mut pen) = (String::new(), 'M');
        for (place, sample) in self.0.iter().enumerate() {
            if *sample == MISSING {
                pen = 'M';
                continue;
            }
            let x = (first + place) as f64 * step;
            let y = height - (f64::from(*sample) / top).min(1.0) * height;
            path += &format!("{pen}{x:.1} {y:.1}");
            pen = 'L';
        }
        path
    }
}

/// A small line.
pub(crate) fn spark(samples: &Samples, room: usize) -> impl IntoView + use<> {
    const SIZE: (f64, f64) = (64.0, 14.0);
    let top = samples
        .range()
        .map_or(1.0, |(_, _, greatest)| greatest * 1.1);
    let line = samples.line(SIZE, top.max(f64::MIN_POSITIVE), room);
    view! {
        <svg class="spark" viewBox="-1 -1 66 16" aria-hidden="true"><path d=line /></svg>
    }
}

/// A plot of round trips, in milliseconds, with its scale and what it says in words.
pub(crate) fn latencies(samples: &Samples, room: usize) -> impl IntoView + use<> {
    const SIZE: (f64, f64) = (600.0, 96.0);
    let range = samples.range();
    let top = scale(range.map_or(1.0, |(_, _, greatest)| greatest));
    let line = samples.line(SIZE, top, room);
    let words = match range {
        None => String::from("no answer yet"),
        Some((least, mean, greatest)) => {
            let last = samples.last().map_or_else(|| "none".into(), millis);
            let lost = match samples.missing() {
                0 => String::new(),
                lost => format!(", {lost} lost"),
            };
            let [least, mean, greatest] = [least, mean, greatest].map(millis);
            format!("last {last}, least {least}, mean {mean}, greatest {greatest}{lost}")
        }
    };
    view! {
        <figure class="latency">
            <div class="plot" aria-hidden="true">
                <svg viewBox="0 0 600 96" preserveAspectRatio="none">
                    <path class="grid" d="M0 0H600M0 48H600M0 96H600" />
                    <path d=line />
                </svg>
                <span>{millis(top)}</span>
                <span>{millis(top / 2.0)}</span>
            </div>
            <figcaption data-testid="latency">{words}</figcaption>
        </figure>
    }
}

/// A round figure that is not below this one.
fn scale(greatest: f64) -> f64 {
    let greatest = greatest.max(0.1);
    let power = 10f64.powf(greatest.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let found = steps.into_iter().find(|step| *step >= greatest);
    found.unwrap_or(greatest)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_line_is_broken_where_a_sample_is_missing() {
        let mut samples = Samples::default();
        for sample in [Some(9.0), Some(0.0), None, Some(10.0), Some(5.0)] {
            samples.push(sample, 4);
        }
        assert_eq!(
            samples.line((30.0, 10.0), 10.0, 4),
            "M0.0 10.0M20.0 0.0L30.0 5.0"
        );
        assert_eq!(samples.range(), Some((0.0, 5.0, 10.0)));
        assert_eq!((samples.missing(), samples.last()), (1, Some(5.0)));
        assert_eq!(Samples::default().range(), None);
    }

    #[test]
    fn a_scale_is_round_and_high_enough() {
        for (greatest, top) in [
            (0.0, 0.1),
            (1.0, 1.0),
            (1.2, 2.0),
            (37.0, 50.0),
            (740.0, 1000.0),
        ] {
            assert!((scale(greatest) - top).abs() < 1e-9, "{greatest}");
        }
    }
}
