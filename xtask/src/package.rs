//! The npm package: the node as a JavaScript module, with its types.

use crate::Error;
use crate::files;
use crate::install::{self, Need};
use crate::wasm::{self, Module, STRIPPED};
use crate::workspace::Workspace;
use std::ffi::OsString;
use std::path::PathBuf;

/// The node in a tab, under the name that users import.
pub(crate) const PEERAGE: Module = Module {
    package: "peerage-wasm",
    artifact: "peerage_wasm",
    name: "peerage",
};

/// `cargo xtask pkg`
pub(crate) fn pkg(ws: &Workspace, _: &[OsString]) -> Result<(), Error> {
    install::install([Need::WasmTarget].iter())?;
    wasm::build_tools(ws)?;
    build(ws)?;
    println!("{}", folder(ws).display());
    Ok(())
}

/// Where the package is, once built.
pub(crate) fn folder(ws: &Workspace) -> PathBuf {
    ws.root.join("wasm-node/pkg")
}

/// Builds the package.
pub(crate) fn build(ws: &Workspace) -> Result<(), Error> {
    wasm::compile(ws, &PEERAGE)?;
    let mut package = files::read_tree(&wasm::bind(ws, &PEERAGE, &STRIPPED)?)?;
    package.insert("package.json".into(), manifest().into());
    files::write_tree(&folder(ws), &package)
}

/// `package.json`: the version is the workspace's.
fn manifest() -> String {
    format!(
        r#"{{
  "name": "peerage",
  "version": "{version}",
  "description": "A full network peer in a browser tab",
  "license": "MIT OR Apache-2.0",
  "type": "module",
  "main": "peerage.js",
  "types": "peerage.d.ts",
  "files": ["*.js", "*.d.ts", "*.wasm", "snippets"]
}}
"#,
        version = env!("CARGO_PKG_VERSION")
    )
}
