//! Packages from npm, pinned, for tests and benches to stand beside: none of it is part of what we make.

use crate::Error;
use crate::files;
use crate::workspace::{Workspace, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a folder of `tests/` needs, by its `package.json`.
pub(crate) struct Modules(&'static str);

/// A decoder that shares none of our code, for the tests to talk to: cbor-x. (Python's cbor2 is a package
/// of Debian's.) The compiler that checks our types, and axe, which checks that pages are accessible.
pub(crate) const INTEROP: Modules = Modules("interop");
/// Whom tabs are measured beside.
pub(crate) const BENCH: Modules = Modules("bench");

impl Modules {
    /// Where they are, once they are installed.
    pub(crate) fn folder(&self, ws: &Workspace) -> PathBuf {
        self.target(ws).join("node_modules")
    }

    /// Installs them into the target folder, unless what is there is what is pinned.
    pub(crate) fn install(&self, ws: &Workspace) -> Result<(), Error> {
        let folder = self.target(ws);
        let pins = ws.root.join("tests").join(self.0).join("package.json");
        let pins = files::read(&pins)?;
        let (pinned, installed) = (folder.join("package.json"), folder.join("installed.json"));
        if fs::read(&installed).is_ok_and(|installed| installed == pins) {
            return Ok(());
        }
        files::remove_tree(&folder)?;
        files::write(&pinned, &pins)?;
        run(Command::new("npm")
            .current_dir(&folder)
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            // Nothing of it shall run while it is installed.
            .args(["--ignore-scripts", "--omit=optional", "--no-package-lock"]))?;
        files::write(&installed, &pins)
    }

    fn target(&self, ws: &Workspace) -> PathBuf {
        ws.target.join("npm").join(self.0)
    }
}
