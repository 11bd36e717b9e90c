//! Every chore of the project. `cargo xtask --help` lists them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "chores talk to a terminal"
)]

mod autobahn;
mod bench;
mod bytes_by_crate;
mod console;
mod error;
mod files;
mod fuzz;
mod install;
mod isolate;
mod npm;
mod package;
mod programs;
mod run;
mod sim;
mod size;
mod test;
mod wasm;
mod workspace;

use error::Error;
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use workspace::Workspace;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            error.exit_code()
        }
    }
}

/// A chore, and what `--help` says about it.
struct Task {
    name: &'static str,
    args: &'static str,
    about: &'static str,
    start: fn(&Workspace, &[OsString]) -> Result<(), Error>,
}

const TASKS: [Task; 9] = [
    Task {
        name: "run",
        args: "[-- ARGS]",
        about: "build the console and the relay, start `peerage relay ARGS`",
        start: run::run,
    },
    Task {
        name: "test",
        args: "[GROUP]",
        about: "run every test, or one of: format, lint, core, sim, native, lan, autobahn, wasm, e2e",
        start: test::test,
    },
    Task {
        name: "sim",
        args: "[OPTIONS]",
        about: "run networks in simulation: --seeds N, --minutes N, --large, or one --seed N again",
        start: sim::sim,
    },
    Task {
        name: "bench",
        args: "[OPTIONS]",
        about: "measure relay, tabs, calls and values beside others: --rounds N, --only NAME",
        start: bench::bench,
    },
    Task {
        name: "fuzz",
        args: "TARGET [SECONDS]",
        about: "look for inputs that do harm: varint, link, greeting, payload, frames, text, session, object, program, kai, enet",
        start: fuzz::fuzz,
    },
    Task {
        name: "pkg",
        args: "",
        about: "build the npm package into wasm-node/pkg",
        start: package::pkg,
    },
    Task {
        name: "size",
        args: "",
        about: "build the npm package, show its size and where the bytes go",
        start: size::size,
    },
    Task {
        name: "screenshots",
        args: "FOLDER",
        about: "take pictures of the console",
        start: test::screenshots,
    },
    Task {
        name: "isolate",
        args: "CMD...",
        about: "run a command with nothing but a loopback network, as browser tests do",
        start: isolate::isolate,
    },
];

fn start(args: &[OsString]) -> Result<(), Error> {
    let Some((name, args)) = args.split_first() else {
        return help();
    };
    if ["--help", "-h", "help"].iter().any(|help| name == *help) {
        return help();
    }
    let Some(task) = TASKS.iter().find(|task| name == task.name) else {
        let names = TASKS.map(|task| task.name).join(", ");
        let name = name.display();
        return Err(Error::Usage(format!(
            "no task `{name}`; expected one of: {names}"
        )));
    };
    (task.start)(&Workspace::find()?, args)
}

fn help() -> Result<(), Error> {
    println!("cargo xtask TASK\n");
    for task in &TASKS {
        let usage = format!("{} {}", task.name, task.args);
        println!("  {usage:<18} {}", task.about);
    }
    Ok(())
}
