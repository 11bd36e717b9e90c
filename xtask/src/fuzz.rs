//! `cargo xtask fuzz`: libFuzzer looks for inputs that reach what none has reached so far, and the
//! corpus keeps them.

use crate::Error;
use crate::files::{self, Tree};
use crate::install::{self, CXX};
use crate::workspace::{Workspace, run};
use data_encoding::HEXLOWER;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// How long a target runs if nothing else is said, in seconds.
const SECONDS: &str = "60";
/// Bytes of an input, at the most.
const INPUT_BYTES_MAX: usize = 600;

/// What makes the compiler count which branches are taken.
const COVERAGE: &str = "-Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// `cargo xtask fuzz TARGET [SECONDS]`
pub(crate) fn fuzz(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    let words: Option<Vec<_>> = args.iter().map(|arg| arg.to_str()).collect();
    let (target, seconds) = match words.as_deref() {
        Some([target]) => (*target, SECONDS),
        Some([target, seconds]) => (*target, *seconds),
        _ => {
            return Err(Error::Usage(
                "fuzz: expected a target, and perhaps seconds".into(),
            ));
        }
    };
    install::install([CXX].iter())?;
    let program = build(ws)?;

    let committed = ws
        .root
        .join("tests/fuzz/corpus")
        .join(format!("{target}.txt"));
    let corpus = ws.target.join("fuzz-corpus").join(target);
    let found = corpus.join("found");
    files::write_tree(&found, &unpacked(&committed)?)?;
    let least = corpus.join("least");
    files::write_tree(&least, &Tree::new())?;
    for folder in [&found, &least] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::Failed(format!("cannot make {}: {error}", folder.display())))?;
    }

    let fuzzer = || {
        let mut fuzzer = Command::new(&program);
        fuzzer.current_dir(&corpus).env("PEERAGE_FUZZ", target);
        fuzzer.arg(format!("-max_len={INPUT_BYTES_MAX}"));
        fuzzer
    };
    let time = format!("-max_total_time={seconds}");
    run(fuzzer().arg(time).arg("-print_final_stats=1").arg(&found))?;
    run(fuzzer().arg("-merge=1").args([&least, &found]))?;

    let mut inputs: Vec<_> = files::read_tree(&least)?.into_values().collect();
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let lines: String = inputs
        .iter()
        .map(|input| HEXLOWER.encode(input) + "\n")
        .collect();
    println!("{target}: {} inputs", inputs.len());
    files::write(&committed, lines.as_bytes())
}

fn build(ws: &Workspace) -> Result<PathBuf, Error> {
    let target = ws.target.join("fuzz");
    let manifest = "tests/fuzz/libfuzzer/Cargo.toml";
    // With a target of their own, build scripts are not counted.
    let host = "x86_64-unknown-linux-gnu";
    let mut cargo = ws.cargo("build", &["--release", "--manifest-path", manifest]);
    cargo.args(["--target", host, "--target-dir"]).arg(&target);
    run(cargo.env("RUSTFLAGS", COVERAGE))?;
    Ok(target.join(host).join("release/target"))
}

/// The corpus as files, which libFuzzer wants.
fn unpacked(committed: &std::path::Path) -> Result<Tree, Error> {
    if !committed.exists() {
        return Ok(Tree::new());
    }
    let text = String::from_utf8_lossy(&files::read(committed)?).into_owned();
    let inputs = text.lines().enumerate().map(|(n, line)| {
        let input = HEXLOWER.decode(line.as_bytes());
        let input = input.map_err(|error| Error::Failed(format!("line {}: {error}", n + 1)))?;
        Ok((PathBuf::from(n.to_string()), input))
    });
    inputs.collect()
}
