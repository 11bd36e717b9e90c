//! `wbg`: wasm-bindgen's command line. Not called `wasm-bindgen`, because rustc takes a crate of that
//! name for an outdated copy of the library.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    Ok(wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(
        env::args_os(),
    )?)
}
