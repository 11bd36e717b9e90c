//! How a chore ends when it does not end well.

use std::fmt;
use std::process::ExitCode;

/// What went wrong, in words for the person at the terminal.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line asks for something that does not exist.
    Usage(String),
    /// The chore was understood, and failed.
    Failed(String),
    /// A test needs what this machine lacks, and may lack.
    Skipped(String),
}

impl Error {
    /// 2 for a wrong command line, 1 for a failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Skipped(_) => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text} (`cargo xtask --help` lists the tasks)"),
            Self::Failed(text) => f.write_str(text),
            Self::Skipped(text) => write!(f, "SKIPPED: {text}"),
        }
    }
}
