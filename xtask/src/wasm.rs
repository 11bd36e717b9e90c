//! A crate of ours as a JavaScript module: cargo compiles it, wasm-bindgen makes the module.

use crate::workspace::{Workspace, run};
use crate::{Error, files};
use std::path::PathBuf;
use std::process::Command;

/// What cargo and the folders call the browser.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What wasm-bindgen leaves out of a module that is shipped.
pub(crate) const STRIPPED: [&str; 2] = ["--remove-name-section", "--remove-producers-section"];

/// A module: the crate and its file as cargo calls them, and the module's own name.
pub(crate) struct Module {
    pub(crate) package: &'static str,
    pub(crate) artifact: &'static str,
    pub(crate) name: &'static str,
}

/// Builds wasm-bindgen and its test runner, at the version that the lock file pins.
pub(crate) fn build_tools(ws: &Workspace) -> Result<(), Error> {
    run(&mut ws.cargo(
        "build",
        &["--locked", "--profile", "tool", "--package", "bindgen"],
    ))
}

/// Where `build_tools` puts the test runner.
pub(crate) fn test_runner(ws: &Workspace) -> PathBuf {
    ws.target.join("tool/wbg-test-runner")
}

/// Compiles the crate of a module.
pub(crate) fn compile(ws: &Workspace, module: &Module) -> Result<(), Error> {
    let package = ["--package", module.package];
    let wasm = ["--locked", "--profile", "wasm", "--target", TARGET];
    run(ws.cargo("build", &wasm).args(package))
}

/// Makes the module from the compiled crate, in a folder that is returned.
pub(crate) fn bind(ws: &Workspace, module: &Module, flags: &[&str]) -> Result<PathBuf, Error> {
    let input = ws
        .target
        .join(TARGET)
        .join("wasm")
        .join(module.artifact)
        .with_extension("wasm");
    let folder = ws.target.join("modules").join(module.name);
    // What an older build left here is not part of this module.
    files::remove_tree(&folder)?;
    run(Command::new(ws.target.join("tool/wbg"))
        .arg(input)
        .args(["--target", "web", "--out-name", module.name, "--out-dir"])
        .arg(&folder)
        .args(flags))?;
    Ok(folder)
}
