//! Which part of the map is seen, and how large.

use super::layout::Place;

/// How much smaller and larger than life the map may be.
const SCALES: (f64, f64) = (0.08, 6.0);
/// Room around what is fitted in, in pixels.
const MARGIN: f64 = 40.0;
/// How large a few nodes are at the most when they are fitted in.
const FITTED_MAX: f64 = 1.25;

/// What is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Camera {
    /// What is in the middle.
    pub(super) at: Place,
    /// Pixels of a unit.
    pub(super) scale: f64,
    /// The size of the picture, in pixels.
    pub(super) size: (f64, f64),
}

impl Camera {
    pub(super) const fn new() -> Self {
        Self {
            at: (0.0, 0.0),
            scale: 1.0,
            size: (1.0, 1.0),
        }
    }

    /// Where on the picture a place is.
    pub(super) fn pixel(&self, (x, y): Place) -> (f64, f64) {
        let (wide, high) = self.size;
        (
            (x - self.at.0) * self.scale + wide / 2.0,
            (y - self.at.1) * self.scale + high / 2.0,
        )
    }

    /// The place that is at a pixel.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> Place {
        let (wide, high) = self.size;
        (
            (x - wide / 2.0) / self.scale + self.at.0,
            (y - high / 2.0) / self.scale + self.at.1,
        )
    }

    /// Zooms by a factor; what is at this pixel stays there.
    pub(super) fn zoom(&mut self, factor: f64, pixel: (f64, f64)) {
        let held = self.place(pixel);
        self.scale = (self.scale * factor).clamp(SCALES.0, SCALES.1);
        let now = self.place(pixel);
        self.at.0 += held.0 - now.0;
        self.at.1 += held.1 - now.1;
    }

    /// Moves the picture by so many pixels.
    pub(super) fn pan(&mut self, (x, y): (f64, f64)) {
        self.at.0 -= x / self.scale;
        self.at.1 -= y / self.scale;
    }

    /// Shows all of these.
    pub(super) fn fit(&mut self, places: impl Iterator<Item = Place>) {
        let radius = places
            .map(|(x, y)| x.abs().max(y.abs()))
            .fold(1.0, f64::max);
        let room = self.size.0.min(self.size.1) / 2.0 - MARGIN;
        self.at = (0.0, 0.0);
        self.scale = (room / radius).clamp(SCALES.0, FITTED_MAX);
    }

    /// Moves as little as is needed for a place to be well within the picture.
    pub(super) fn reveal(&mut self, place: Place) {
        let (x, y) = self.pixel(place);
        let beyond = |at: f64, size: f64| {
            at - at.clamp(MARGIN.min(size / 2.0), (size - MARGIN).max(size / 2.0))
        };
        self.pan((-beyond(x, self.size.0), -beyond(y, self.size.1)));
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn camera() -> Camera {
        Camera {
            size: (800.0, 600.0),
            ..Camera::new()
        }
    }

    fn near(a: (f64, f64), b: (f64, f64)) -> bool {
        (a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6
    }

    #[test]
    fn what_is_under_the_pointer_stays_there() {
        let mut camera = camera();
        camera.pan((30.0, -20.0));
        let held = camera.place((100.0, 500.0));
        for factor in [1.3, 0.2, 1e9, 1e-9] {
            camera.zoom(factor, (100.0, 500.0));
            assert!(near(camera.pixel(held), (100.0, 500.0)), "{factor}");
        }
    }

    #[test]
    fn all_that_is_fitted_in_is_on_the_picture_and_what_is_revealed_too() {
        let mut camera = camera();
        let places = [(1000.0, 0.0), (-200.0, 900.0)];
        camera.fit(places.into_iter());
        for place in places {
            let (x, y) = camera.pixel(place);
            assert!((0.0..=800.0).contains(&x) && (0.0..=600.0).contains(&y));
        }
        camera.zoom(10.0, (400.0, 300.0));
        camera.reveal((1000.0, 0.0));
        assert!(near(camera.pixel((1000.0, 0.0)), (800.0 - MARGIN, 300.0)));
    }
}
