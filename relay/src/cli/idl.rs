//! `peerage idl`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{CliError, Outcome, complain, say};

/// Reads a file in Tau, KAI's language for interfaces, and writes them to the standard output.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The Tau file.
    file: PathBuf,
    #[command(flatten)]
    language: Language,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Language {
    /// Write traits of Rust, for `#[peerage::agent]`.
    #[arg(long)]
    rust: bool,
    /// Write interfaces of TypeScript.
    #[arg(long)]
    typescript: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let source = std::fs::read_to_string(&args.file).map_err(|source| CliError::Read {
        file: args.file.clone(),
        source,
    })?;
    match peerage_tau::parse(&source) {
        Ok(file) if args.language.rust => say(peerage_tau::rust(&file).trim_end()),
        Ok(file) => say(peerage_tau::typescript(&file).trim_end()),
        Err(error) => {
            // Editors find the place by a line that begins with the file's name.
            complain(&error.report(&args.file.display().to_string(), &source));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
