//! Whom a node calls, and who is there.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::limits::IMPOSTORS_MAX;
use crate::link::hello::{VERSIONS, Welcome};

fn id(n: u8) -> NodeId {
    Identity::from_secret(&[n; 32]).id()
}

fn caller() -> Machine {
    let config = Config::new(Kind::Native);
    Machine::new(config, Identity::from_secret(&[1; 32]), [1; 32], Time::ZERO)
}

/// All that a machine has to do now.
fn outputs(machine: &mut Machine) -> Vec<Output> {
    machine.handle_time(Time::from_secs(1));
    std::iter::from_fn(|| machine.poll_output()).collect()
}

/// Lets a machine call, and somebody answer it with a challenge as the node of `id`.
fn challenged(machine: &mut Machine, link: u64, expected: NodeId, there: NodeId) -> Vec<Output> {
    let (now, link) = (Time::from_secs(1), LinkId(link));
    machine.handle_link_up(now, link, Origin::Dialled);
    machine.handle_expect(link, expected);
    let challenge = Challenge {
        id: there,
        zone: "local".into(),
        nonce: [3; 32],
    };
    let frame = Frame::challenge(VERSIONS, &challenge).encode();
    machine.handle_packet(now, link, frame);
    outputs(machine)
}

fn dials(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Dial))
}

fn closes_as_unauthorised(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| match output {
        Output::Close(_, failure) => failure.code == Code::Unauthorised,
        _ => false,
    })
}

#[test]
fn the_next_is_called_at_once_when_another_node_is_there_and_later_when_that_goes_on() {
    let mut machine = caller();
    assert!(dials(&outputs(&mut machine)));
    for link in 0..IMPOSTORS_MAX as u64 {
        let done = challenged(&mut machine, link, id(2), id(3));
        assert!(closes_as_unauthorised(&done) && dials(&done));
        assert_eq!(*machine.state(), State::Connecting);
    }
    let done = challenged(&mut machine, 99, id(2), id(3));
    assert!(closes_as_unauthorised(&done) && !dials(&done));
    assert_eq!(*machine.state(), State::Offline);
    let reason = machine.offline_reason();
    assert!(reason.contains(&id(2).to_string()) && reason.contains(&id(3).to_string()));
}

#[test]
fn the_node_that_was_expected_is_believed_only_if_it_proves_to_be_it() {
    let mut machine = caller();
    outputs(&mut machine);
    let done = challenged(&mut machine, 0, id(2), id(2));
    assert!(done.iter().any(|output| matches!(output, Output::Send(..))));
    let welcome = Welcome {
        name: "a".parse().unwrap(),
        members: Vec::new(),
        signature: [0; 64],
    };
    let frame = Frame::Control(Control::Welcome(welcome)).encode();
    machine.handle_packet(Time::from_secs(1), LinkId(0), frame);
    let done = outputs(&mut machine);
    assert!(closes_as_unauthorised(&done) && dials(&done));
    assert_eq!(*machine.state(), State::Connecting);
}
