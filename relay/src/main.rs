//! The program `peerage`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    peerage_relay::cli::main().await
}
