//! Decoders that share none of our code, for the tests to talk to: cbor-x, from npm. (Python's cbor2 is a
//! package of Debian's.)

use crate::Error;
use crate::files;
use crate::workspace::{Workspace, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// cbor-x as one script, once it is installed.
pub(crate) fn script(ws: &Workspace) -> PathBuf {
    folder(ws).join("node_modules/cbor-x/dist/index.min.js")
}

/// Installs it into the target folder, unless what is there is what is pinned.
pub(crate) fn install(ws: &Workspace) -> Result<(), Error> {
    let folder = folder(ws);
    let pins = files::read(&ws.root.join("tests/interop/package.json"))?;
    let (pinned, installed) = (folder.join("package.json"), folder.join("installed.json"));
    if fs::read(&installed).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    files::remove_tree(&folder)?;
    files::write(&pinned, &pins)?;
    run(Command::new("npm")
        .current_dir(&folder)
        .args(["install", "--silent", "--no-audit", "--no-fund"])
        // Nothing of it shall run here but in the browser.
        .args(["--ignore-scripts", "--omit=optional", "--no-package-lock"]))?;
    files::write(&installed, &pins)
}

fn folder(ws: &Workspace) -> PathBuf {
    ws.target.join("interop")
}
