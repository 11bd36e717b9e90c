//! The types of the npm package, and of what Tau becomes, by TypeScript's own compiler.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

fn of_xtask(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).expect("run this by `cargo xtask test`");
    path.into()
}

fn copy(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    to
}

#[test]
fn a_program_in_typescript_is_checked_by_our_types() {
    let folder = tempfile::tempdir().unwrap();
    let package = of_xtask("PEERAGE_PKG").join("peerage.d.ts");
    let sample = Path::new(HERE).join("interop/sample.ts");
    let mut files = vec![copy(&package, folder.path()), copy(&sample, folder.path())];
    let tau = Path::new(HERE).join("../tau/tests/files");
    for file in std::fs::read_dir(tau).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "ts") {
            files.push(copy(&file, folder.path()));
        }
    }
    assert!(files.len() > 10, "{files:?}");
    let compiler = of_xtask("PEERAGE_TSC");
    let options = "--strict --noEmit --target esnext --lib esnext,dom --module esnext --moduleResolution bundler";
    let checked = Command::new("node")
        .arg(compiler)
        .args(options.split(' '))
        .args(&files)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{complaint}");
}
