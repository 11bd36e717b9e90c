//! `cargo xtask bench`: the relay, tabs, calls, values and ENet beside others, in one run.

use crate::Error;
use crate::install::{self, BROWSER, CC, DRIVER, IP, LIBENET, MOSQUITTO, NATS, NGINX, NPM, Need};
use crate::workspace::{Workspace, become_command, run};
use crate::{npm, package, wasm};
use std::ffi::OsString;
use std::process::Command;

/// `cargo xtask bench [OPTIONS]`
pub(crate) fn bench(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    install::install(
        [
            NATS,
            MOSQUITTO,
            NGINX,
            Need::WasmTarget,
            BROWSER,
            DRIVER,
            IP,
            NPM,
            CC,
            LIBENET,
        ]
        .iter(),
    )?;
    wasm::build_tools(ws)?;
    package::build(ws)?;
    npm::BENCH.install(ws)?;
    let what = [
        "--locked",
        "--release",
        "-p",
        "peerage-relay",
        "-p",
        "peerage-bench",
    ];
    run(&mut ws.cargo("build", &what))?;
    let xtask = std::env::current_exe()
        .map_err(|error| Error::Failed(format!("cannot find xtask itself: {error}")))?;
    let relay = ws.target.join("release/peerage");
    // Ten thousand connections need as many files on each side.
    become_command(
        Command::new(xtask)
            .args([
                "isolate",
                "sh",
                "-c",
                "ulimit -n $(ulimit -Hn); exec \"$@\"",
                "bench",
            ])
            .arg(ws.target.join("release/peerage-bench"))
            .arg("run")
            .arg(&relay)
            .arg(ws.target.join("bench.json"))
            .args(args)
            .env("PEERAGE_BIN", &relay)
            .env("PEERAGE_PKG", package::folder(ws))
            .env("PEERAGE_MODULES", npm::BENCH.folder(ws)),
    )
}
