//! `peerage config`: what a configuration file may say, and whether one says that.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::{Outcome, relay_urls, say};
use crate::config::{FileConfig, schema};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the JSON Schema of the file, which editors and validators read.
    Schema,
    /// Say what is wrong in a file, and where.
    Check {
        /// The file.
        file: PathBuf,
    },
}

pub(super) fn run(args: &Args) -> Outcome {
    match &args.task {
        Task::Schema => say(&format!("{:#}", schema())),
        Task::Check { file } => {
            let config = FileConfig::load(Some(file))?;
            relay_urls(&[], &config)?;
            say(&format!("{}: all is well", file.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
