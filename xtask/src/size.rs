//! `cargo xtask size`: what a page downloads, and which crates it is made of.

use crate::bytes_by_crate::{Bytes, bytes_by_crate};
use crate::package::{self, PEERAGE};
use crate::wasm::{self, Module};
use crate::workspace::Workspace;
use crate::{Error, files};
use flate2::{Compression, write::GzEncoder};
use std::ffi::OsString;
use std::io::{self, Write};

/// The package's module with the functions' names still in it: to be measured, not shipped.
const NAMED: Module = Module {
    name: "peerage_named",
    ..PEERAGE
};

/// `cargo xtask size`
pub(crate) fn size(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    package::pkg(ws, args)?;

    println!("\n{:<16} {:>9} {:>9} {:>9}", "", "raw", "gzip", "brotli");
    for name in ["peerage_bg.wasm", "peerage.js"] {
        let content = files::read(&package::folder(ws).join(name))?;
        let (gzip, brotli) = gzip(&content)
            .and_then(|gzip| Ok((gzip, brotli(&content)?)))
            .map_err(|error| Error::Failed(format!("cannot compress {name}: {error}")))?;
        println!("{name:<16} {:>9} {gzip:>9} {brotli:>9}", content.len());
    }

    let named = wasm::bind(ws, &NAMED, &[])?.join("peerage_named_bg.wasm");
    let bytes = bytes_by_crate(&files::read(&named)?)
        .ok_or_else(|| Error::Failed(format!("{} is not WebAssembly", named.display())))?;
    print(&bytes);
    Ok(())
}

fn print(bytes: &Bytes) {
    const SHOWN: usize = 10;
    let row = |name: &str, size: usize| {
        let share = 100.0 * size as f64 / bytes.code.max(1) as f64;
        println!("{name:<24} {size:>9}  {share:>4.1} %");
    };
    println!();
    row("code", bytes.code);
    for (name, size) in bytes.crates.iter().take(SHOWN) {
        row(&format!("  {name}"), *size);
    }
    row(
        "  others",
        bytes.crates.iter().skip(SHOWN).map(|(_, size)| size).sum(),
    );
    println!("{:<24} {:>9}", "data", bytes.data);
}

fn gzip(content: &[u8]) -> io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.len())
}

fn brotli(mut content: &[u8]) -> io::Result<usize> {
    let mut compressed = Vec::new();
    // The defaults are the strongest: quality 11, a window of 4 MiB.
    brotli::BrotliCompress(&mut content, &mut compressed, &Default::default())?;
    Ok(compressed.len())
}
