//! The seven steps of a command, as its log tells them.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::log::{Ear, Entry, STEPS, Value};

fn field<'a>(entry: &'a Entry, name: &str) -> Option<&'a Value> {
    let mut fields = entry.fields.iter();
    fields.find(|field| field.0 == name).map(|field| &field.1)
}

#[test]
fn seven_steps_are_told_in_order_under_one_number() {
    let mut stage = Stage::with(&["a", "b"]);
    let ear = Ear::default();
    let outcome = ear.listen(|| stage.run("calc 1+2 @b"));
    let heard = ear.heard().into_iter().map(|heard| heard.entry);
    let steps: Vec<_> = heard.filter(|entry| entry.target == STEPS).collect();
    let names: Vec<_> = steps.iter().map(|step| field(step, "step")).collect();
    let seven = [
        "parse",
        "route",
        "deliver",
        "translate",
        "execute",
        "return",
        "display",
    ];
    let seven = seven.map(|name| Value::Text(name.into()));
    assert_eq!(names, seven.each_ref().map(Some));
    let trace = Value::Number(outcome.unwrap().trace as f64);
    assert!(
        steps
            .iter()
            .all(|step| field(step, "trace") == Some(&trace))
    );
    let [a, b] = ["a", "b"].map(|name| Some(stage.of(name).node().id().short()));
    let nodes: Vec<_> = steps.iter().map(|step| step.node.clone()).collect();
    assert_eq!(nodes, [&a, &a, &b, &b, &b, &b, &a].map(Clone::clone));
}
