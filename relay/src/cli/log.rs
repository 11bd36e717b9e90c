//! What the program logs on its standard error, and keeps for who asks.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::cli::CliError;
use crate::log::{journal, json_lines};

/// What is logged on the standard error, if nothing is said.
const FILTER: &str = "warn";
const FILTER_KEY: &str = "PEERAGE_LOG";
const FORMAT_KEY: &str = "PEERAGE_LOG_FORMAT";

/// How it is logged there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// A JSON object a line, for programs.
    Json,
}

/// Logs from now on.
pub(super) fn install(format: Option<Format>) -> Result<(), CliError> {
    let filter = EnvFilter::try_from_env(FILTER_KEY).unwrap_or_else(|_| EnvFilter::new(FILTER));
    // What libraries tell may be anything: a key that was pressed, a request with its headers.
    let own = filter_fn(|metadata| metadata.target().starts_with("peerage"));
    let on_stderr = match format.map_or_else(usual, Ok)? {
        Format::Json => json_lines(stderr).boxed(),
        Format::Text => {
            let text = fmt::layer().with_writer(stderr);
            text.with_ansi(stderr().is_terminal()).boxed()
        }
    };
    tracing_subscriber::registry()
        .with(on_stderr.with_filter(filter.and(own)))
        .with(journal())
        .init();
    Ok(())
}

fn usual() -> Result<Format, CliError> {
    let Some(text) = std::env::var_os(FORMAT_KEY) else {
        return Ok(Format::Text);
    };
    let text = text.to_string_lossy();
    Format::from_str(&text, false).map_err(|_| CliError::LogFormat(text.into()))
}
