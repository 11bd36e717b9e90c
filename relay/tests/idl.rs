//! `peerage idl`, as a process.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn idl(file: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    command.arg("idl").arg(file).args(options).output().unwrap()
}

fn calculator() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tau/tests/files/SimpleCalculator.tau")
}

#[test]
fn interfaces_are_written_to_the_standard_output() {
    for (option, extension) in [("--rust", "rs"), ("--typescript", "ts")] {
        let output = idl(&calculator(), &[option]);
        assert!(output.status.success(), "{output:?}");
        let expected = std::fs::read(calculator().with_extension(extension)).unwrap();
        assert!(output.stdout == expected, "{option}");
    }
}

#[test]
fn an_error_is_shown_at_its_place_and_the_status_is_one() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.tau");
    std::fs::write(&file, "interface IDoor\n{\n    void Open(Key key);\n}\n").unwrap();
    let output = idl(&file, &["--rust"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let expected = format!(
        "{}:3:15: expected a type that is built in or declared, got `Key`\n \
         3 |     void Open(Key key);\n   |               ^\n",
        file.display()
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let output = idl(Path::new("no/such.tau"), &["--rust"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("peerage: cannot read no/such.tau: "),
        "{error}"
    );
}

#[test]
fn one_language_is_chosen() {
    for options in [&[][..], &["--rust", "--typescript"]] {
        assert_eq!(idl(&calculator(), options).status.code(), Some(2));
    }
}
