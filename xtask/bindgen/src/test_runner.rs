//! `wbg-test-runner`: what cargo calls for every WebAssembly test binary; it runs the tests in a browser.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --quiet` hands its flag on to the runner, which does not know it.
    let args = env::args_os().filter(|arg| arg != "--quiet");
    Ok(wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(args)?)
}
