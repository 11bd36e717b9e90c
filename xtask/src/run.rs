//! `cargo xtask run`: from a fresh clone to a relay with the console inside.

use crate::Error;
use crate::install::{self, Need};
use crate::workspace::{Workspace, become_command, run as run_command};
use crate::{console, wasm};
use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

/// `cargo xtask run [-- ARGS]`
pub(crate) fn run(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    let args = args.strip_prefix(&["--".into()]).unwrap_or(args);
    step("1/3", "tools", || {
        install::install([Need::WasmTarget].iter())?;
        wasm::build_tools(ws)
    })?;
    step("2/3", "console", || console::build(ws))?;
    step("3/3", "relay", || {
        let relay = ["--locked", "--release", "--package", "peerage-relay"];
        run_command(&mut ws.cargo("build", &relay))
    })?;
    let peerage = ws.target.join("release/peerage");
    become_command(Command::new(peerage).arg("relay").args(args))
}

/// Says what is done before cargo's own progress, and after it how long it took.
fn step(count: &str, name: &str, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    eprintln!("[{count}] {name}");
    let start = Instant::now();
    work()?;
    eprintln!("[{count}] {name} · {} s", start.elapsed().as_secs());
    Ok(())
}
