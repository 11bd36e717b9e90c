//! What is made from each file is what is kept beside it. `PEERAGE_TAU_REWRITE=1` keeps what is made now.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "tau"))
        .collect();
    files.sort();
    files
}

fn compare(extension: &str, make: impl Fn(&peerage_tau::File) -> String) {
    let rewrite = std::env::var_os("PEERAGE_TAU_REWRITE").is_some();
    let files = files();
    assert!(files.len() >= 9, "{files:?}");
    for path in files {
        let source = fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        let file = peerage_tau::parse(&source)
            .unwrap_or_else(|error| panic!("{}", error.report(&name, &source)));
        let kept = path.with_extension(extension);
        if rewrite {
            fs::write(&kept, make(&file)).unwrap();
        }
        let expected = fs::read_to_string(&kept).unwrap_or_default();
        assert_eq!(make(&file), expected, "{}", kept.display());
    }
}

#[test]
fn rust_is_written_as_before() {
    compare("rs", peerage_tau::rust);
}

#[test]
fn typescript_is_written_as_before() {
    compare("ts", peerage_tau::typescript);
}
