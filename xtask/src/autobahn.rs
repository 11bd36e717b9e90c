//! Autobahn's WebSocket suite. It is a program of Python 2, which not every machine has.

use crate::Error;
use crate::files;
use crate::install::output_of;
use crate::test::NATIVE;
use crate::workspace::{Workspace, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The last one that is a single file and knows Python 2.
const VIRTUALENV: &str = "virtualenv==16.7.10";

/// The suite against our sockets, or why it is skipped here.
pub(crate) fn test(ws: &Workspace) -> Result<(), Error> {
    let python = python().ok_or_else(|| Error::Skipped("no Python 2.7 here".into()))?;
    let wstest = wstest(ws, &python)?;
    run(ws
        .cargo("test", &NATIVE)
        .args(["--test", "autobahn"])
        // It has a line to say when it succeeds.
        .args(["--", "--nocapture"])
        .env("PEERAGE_WSTEST", wstest))
}

/// Debian's newer releases have none, pyenv does.
fn python() -> Option<PathBuf> {
    let versions = output_of("pyenv", &["root"]).map(|root| Path::new(&root).join("versions"));
    let installed = versions.and_then(|folder| fs::read_dir(folder).ok());
    installed
        .into_iter()
        .flatten()
        .flatten()
        .filter(|version| version.file_name().to_string_lossy().starts_with("2.7."))
        .map(|version| version.path().join("bin/python"))
        .chain(["python2.7".into()])
        // pyenv puts a stand-in on the `PATH`: only calling it tells.
        .find(|python| output_of(python, &["--version"]).is_some())
}

/// The suite's program, installed into the target folder unless what is there is what is pinned.
fn wstest(ws: &Workspace, python: &Path) -> Result<PathBuf, Error> {
    let folder = ws.target.join("autobahn");
    let (tools, env) = (folder.join("tools"), folder.join("env"));
    let wstest = env.join("bin/wstest");
    let pins = ws.root.join("tests/autobahn/requirements.txt");
    let pinned = files::read(&pins)?;
    let installed = folder.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == pinned) {
        return Ok(wstest);
    }

    eprintln!("installing Autobahn's WebSocket suite");
    files::remove_tree(&folder)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", VIRTUALENV, "--target"]);
    step(pip.arg(&tools))?;
    let mut virtualenv = Command::new(python);
    virtualenv.args(["-m", "virtualenv", "--quiet", "--no-download"]);
    step(virtualenv.arg(&env).env("PYTHONPATH", tools))?;
    let mut pip = Command::new(env.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    step(pip.arg(pins))?;
    files::write(&installed, &pinned)?;
    Ok(wstest)
}

/// A step of the installation: without the network there is no suite, which is not a failure of ours.
fn step(command: &mut Command) -> Result<(), Error> {
    // That Python 2 has ended is no news.
    run(command.env("PYTHONWARNINGS", "ignore"))
        .map_err(|error| Error::Skipped(format!("cannot install the suite: {error}")))
}
