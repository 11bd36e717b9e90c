//! `cargo xtask bench`: the relay beside others, in one run.

use crate::Error;
use crate::install::{self, NATS};
use crate::workspace::{Workspace, become_command, run};
use std::ffi::OsString;
use std::process::Command;

/// `cargo xtask bench [OPTIONS]`
pub(crate) fn bench(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    install::install([NATS].iter())?;
    let what = [
        "--locked",
        "--release",
        "-p",
        "peerage-relay",
        "-p",
        "peerage-bench",
    ];
    run(&mut ws.cargo("build", &what))?;
    // Ten thousand connections need as many files on each side.
    become_command(
        Command::new("sh")
            .args(["-c", "ulimit -n $(ulimit -Hn); exec \"$@\"", "bench"])
            .arg(ws.target.join("release/peerage-bench"))
            .arg("run")
            .arg(ws.target.join("release/peerage"))
            .arg(ws.target.join("bench.json"))
            .args(args),
    )
}
