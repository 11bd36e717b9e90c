//! `cargo xtask sim`: networks of nodes in simulation.

use crate::Error;
use crate::workspace::{Workspace, run};
use std::ffi::OsString;
use std::process::Command;

/// Seeds on each test run: about a minute.
const SEEDS: &str = "2000";
/// Seeds that are run in a browser as well.
const SEEDS_COMPARED: &str = "8";

/// `cargo xtask sim [OPTIONS]`
pub(crate) fn sim(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    run(program(ws)?.args(args))
}

/// The simulations of each test run.
pub(crate) fn test(ws: &Workspace) -> Result<(), Error> {
    run(program(ws)?.args(["--seeds", SEEDS]))?;
    run(program(ws)?.arg("--large"))
}

/// What some seeds lead to here, to be compared with what they lead to elsewhere.
pub(crate) fn hashes(ws: &Workspace) -> Result<String, Error> {
    let output = program(ws)?.args(["--hashes", SEEDS_COMPARED]).output();
    let output = output.map_err(|error| Error::Failed(format!("cannot start sim: {error}")))?;
    if !output.status.success() {
        return Err(Error::Failed(format!("sim failed: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn program(ws: &Workspace) -> Result<Command, Error> {
    run(&mut ws.cargo(
        "build",
        &["--locked", "--profile", "sim", "-p", "peerage-sim"],
    ))?;
    Ok(Command::new(ws.target.join("sim/sim")))
}
