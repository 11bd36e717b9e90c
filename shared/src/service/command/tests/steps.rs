//! The seven steps of a command, as its log tells them.

use std::sync::{Arc, Mutex};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::log::STEPS;

/// Keeps the steps with their traces.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<(String, u64)>>>);

#[derive(Default)]
struct Read(String, u64);

impl Visit for Read {
    fn record_debug(&mut self, _: &Field, _: &dyn core::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "step" {
            self.0 = value.into();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "trace" {
            self.1 = value;
        }
    }
}

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == STEPS
    }

    fn event(&self, event: &Event<'_>) {
        let mut read = Read::default();
        event.record(&mut read);
        self.0.lock().unwrap().push((read.0, read.1));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn seven_steps_are_told_in_order_under_one_number() {
    let mut stage = Stage::with(&["a", "b"]);
    let ear = Ear::default();
    let outcome = tracing::subscriber::with_default(ear.clone(), || stage.run("calc 1+2 @b"));
    let (names, traces): (Vec<_>, Vec<_>) = ear.0.lock().unwrap().drain(..).unzip();
    let seven = [
        "parse",
        "route",
        "deliver",
        "translate",
        "execute",
        "return",
        "display",
    ];
    assert_eq!(names, seven);
    let trace = outcome.unwrap().trace;
    assert_eq!(traces, [trace; 7]);
}
