//! `cargo xtask test`: every test there is, in groups that also run alone.

use crate::Error;
use crate::install::{
    self, AVAHI, AVAHI_BROWSE, BROWSER, CBOR2, CC, CLIPPY, COTURN, CURL, DBUS, DNSMASQ, DRIVER, IP,
    LIBENET, MOSQUITTO_CLIENTS, NFT, NPM, Need, PAHO, PYMODBUS, RUSTFMT, SCRIPT, SERIAL_ASYNCIO,
};
use crate::workspace::{Workspace, run, which};
use crate::{autobahn, console, isolate, npm, package, programs, sim, wasm};
use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::process::Command;
use std::time::{Duration, Instant};

/// Tests that belong together: what they need on the machine, and how they run.
struct Group {
    name: &'static str,
    needs: &'static [Need],
    run: fn(&Workspace) -> Result<(), Error>,
}

const E2E_NEEDS: [Need; 15] = [
    Need::WasmTarget,
    BROWSER,
    DRIVER,
    IP,
    NFT,
    CBOR2,
    NPM,
    CURL,
    COTURN,
    CC,
    LIBENET,
    PYMODBUS,
    SERIAL_ASYNCIO,
    MOSQUITTO_CLIENTS,
    PAHO,
];

const GROUPS: [Group; 9] = [
    Group {
        name: "format",
        needs: &[RUSTFMT],
        run: format,
    },
    Group {
        name: "lint",
        needs: &[CLIPPY, Need::WasmTarget],
        run: lint,
    },
    Group {
        name: "core",
        needs: &[],
        run: core,
    },
    Group {
        name: "sim",
        needs: &[],
        run: sim::test,
    },
    Group {
        name: "native",
        needs: &[SCRIPT, CURL, CC, LIBENET],
        run: native,
    },
    Group {
        name: "lan",
        needs: &[
            Need::WasmTarget,
            BROWSER,
            DRIVER,
            IP,
            NFT,
            AVAHI,
            AVAHI_BROWSE,
            DBUS,
            DNSMASQ,
            CC,
        ],
        run: lan,
    },
    Group {
        name: "autobahn",
        needs: &[],
        run: autobahn::test,
    },
    Group {
        name: "wasm",
        needs: &[Need::WasmTarget, BROWSER, DRIVER, IP],
        run: wasm,
    },
    Group {
        name: "e2e",
        needs: &E2E_NEEDS,
        run: e2e,
    },
];

const FAILED: &str = "FAILED";

/// `cargo xtask test [GROUP]`
pub(crate) fn test(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    let groups = chosen(args)?;
    install::install(groups.iter().flat_map(|group| group.needs))?;
    let ws = Workspace {
        root: ws.root.clone(),
        target: ws.target.clone(),
        // A log that nobody watches holds only what went wrong.
        quiet: !stderr().is_terminal(),
    };

    let mut results = Vec::new();
    for group in groups {
        eprintln!("test group {}", group.name);
        let start = Instant::now();
        let result = (group.run)(&ws);
        if let Err(error) = &result {
            eprintln!("{}: {error}", group.name);
        }
        results.push((group.name, verdict(&result), start.elapsed()));
    }
    summary(&results)
}

/// `cargo xtask screenshots FOLDER`
pub(crate) fn screenshots(ws: &Workspace, args: &[OsString]) -> Result<(), Error> {
    let folder = match args {
        [folder] => folder.to_str(),
        _ => None,
    };
    let folder = folder.ok_or_else(|| {
        Error::Usage("screenshots: expected one folder, its name in UTF-8".into())
    })?;
    install::install(E2E_NEEDS.iter())?;
    for_browsers(ws)?;
    run(ws.cargo("build", &NATIVE).args(["--bins", "--examples"]))?;
    let example = ws.target.join("debug/examples/screenshots");
    let mut command = isolate::command()?;
    run(with_places(ws, command.arg(example).arg(folder)))
}

fn chosen(args: &[OsString]) -> Result<Vec<&'static Group>, Error> {
    let [name] = args else {
        return Ok(GROUPS.iter().collect());
    };
    let found = GROUPS.iter().find(|group| name == group.name);
    found.map(|group| vec![group]).ok_or_else(|| {
        let names = GROUPS.each_ref().map(|group| group.name).join(", ");
        let name = name.display();
        Error::Usage(format!("no test group `{name}`; expected one of: {names}"))
    })
}

fn verdict(result: &Result<(), Error>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(Error::Skipped(_)) => "SKIPPED",
        Err(_) => FAILED,
    }
}

fn summary(results: &[(&str, &str, Duration)]) -> Result<(), Error> {
    println!();
    for (name, verdict, time) in results {
        println!("{name:<8}  {verdict:<7}  {:>4} s", time.as_secs());
    }
    let failed = results.iter().filter(|(_, verdict, _)| *verdict == FAILED);
    match failed.count() {
        0 => Ok(()),
        failed => Err(Error::Failed(format!(
            "{failed} of {} test groups failed",
            results.len()
        ))),
    }
}

fn format(ws: &Workspace) -> Result<(), Error> {
    run(&mut ws.cargo("fmt", &["--all", "--check"]))
}

fn lint(ws: &Workspace) -> Result<(), Error> {
    let native = "--locked --workspace --exclude peerage-web --exclude peerage-wasm --all-targets";
    let browser = "--locked --target wasm32-unknown-unknown --all-targets -p peerage -p peerage-wasm -p peerage-web -p peerage-sim -p acme-robot";
    for what in [native, browser] {
        let args: Vec<_> = what.split(' ').chain(["--", "-D", "warnings"]).collect();
        run(&mut ws.cargo("clippy", &args))?;
    }
    Ok(())
}

fn core(ws: &Workspace) -> Result<(), Error> {
    run(&mut ws.cargo(
        "test",
        &[
            "--locked",
            "-p",
            "peerage",
            "-p",
            "peerage-enet",
            "-p",
            "peerage-fuzz",
        ],
    ))
}

/// What runs natively, in one selection: cargo compiles anew what they depend on for each other one.
pub(crate) const NATIVE: [&str; 11] = [
    "--locked",
    "-p",
    "peerage-relay",
    "-p",
    "peerage-tau",
    "-p",
    "acme-robot",
    "-p",
    "xtask",
    "-p",
    "peerage-tests",
];

/// Programs of `tests/` that need no more than sockets, and the tests of `tau/` and `relay/`; the longest first.
const NATIVE_TESTS: [&str; 22] = [
    "lanes",
    "adapters",
    "traces",
    "enet",
    "idl",
    "errors",
    "generated",
    "meaning",
    "snapshots",
    "processes",
    "commands",
    "connections",
    "chain",
    "hostile",
    "log",
    "stuck",
    "kai",
    "http",
    "http_proxy",
    "http_guard",
    "broker",
    "enet_links",
];

fn native(ws: &Workspace) -> Result<(), Error> {
    run(ws.cargo("test", &NATIVE).args(["--lib", "--bins"]))?;
    run(ws.cargo("test", &NATIVE).arg("--doc"))?;
    processes(ws, &NATIVE_TESTS, &[])
}

/// Nodes on networks of their own, which the tests make, with tabs among them.
fn lan(ws: &Workspace) -> Result<(), Error> {
    wasm::build_tools(ws)?;
    package::build(ws)?;
    let isolated = isolate::cargo_option("cfg(all())", None)?;
    let tests = ["netem", "nat_tabs", "nat", "discovery"];
    processes(ws, &tests, &[&isolated, "--", "--test-threads=1"])
}

/// Programs of `tests/`, with the relay that they start.
fn processes(ws: &Workspace, tests: &[&str], more: &[&str]) -> Result<(), Error> {
    run(ws.cargo("build", &NATIVE).args(["--bins", "--tests"]))?;
    programs::run_each(tests, |test| {
        let mut command = ws.cargo("test", &NATIVE);
        command.args(["--test", test]).args(more);
        with_places(ws, &mut command);
        command
    })
}

/// Tells programs of `tests/` where is what they start.
fn with_places<'a>(ws: &Workspace, command: &'a mut Command) -> &'a mut Command {
    let module = |path| npm::INTEROP.folder(ws).join(path);
    command
        // What fails says why; the way there is of no use in a log that many read.
        .env("RUST_BACKTRACE", "0")
        .env("PEERAGE_BIN", ws.target.join("debug/peerage"))
        .env("PEERAGE_PKG", package::folder(ws))
        .env("PEERAGE_CBOR_X", module("cbor-x/dist/index.min.js"))
        .env("PEERAGE_TSC", module("typescript/lib/tsc.js"))
        .env("PEERAGE_AXE", module("axe-core/axe.min.js"))
}

fn wasm(ws: &Workspace) -> Result<(), Error> {
    wasm::build_tools(ws)?;
    let isolated = isolate::cargo_option(wasm::TARGET, Some(&wasm::test_runner(ws)))?;
    let hashes = sim::hashes(ws)?;
    for what in [
        ["-p", "peerage", "--tests"],
        ["-p", "peerage-sim", "--tests"],
        ["-p", "peerage-wasm", "--tests"],
        ["-p", "peerage-web", "--tests"],
    ] {
        let browser = ["--locked", "--target", wasm::TARGET, &isolated];
        run(ws
            .cargo("test", &browser)
            .args(what)
            .env("PEERAGE_SIM_HASHES", &hashes)
            .env("CHROMEDRIVER", which("chromedriver").unwrap_or_default())
            .env(
                "WASM_BINDGEN_TEST_WEBDRIVER_JSON",
                ws.root.join("xtask/webdriver.json"),
            )
            // A test that does not say where it runs, runs in a page; all of them, in two minutes.
            .env("WASM_BINDGEN_USE_BROWSER", "1")
            .env("WASM_BINDGEN_TEST_TIMEOUT", "120"))?;
    }
    Ok(())
}

/// Programs of `tests/` that open pages, the longest first.
const E2E_TESTS: [&str; 28] = [
    "pages",
    "storm",
    "webrtc",
    "scripts",
    "browsers",
    "degree",
    "far_tab",
    "streams",
    "robots",
    "interop",
    "types",
    "console",
    "console_views",
    "page_commands",
    "objects",
    "operations",
    "topics",
    "web_pages",
    "web_suite",
    "webrtc_hostile",
    "tab_connections",
    "enet_programs",
    "enet_kai",
    "enet_raw",
    "adapter_pages",
    "traces_pages",
    "events",
    "mqtt",
];

fn e2e(ws: &Workspace) -> Result<(), Error> {
    npm::INTEROP.install(ws)?;
    let isolated = for_browsers(ws)?;
    processes(ws, &E2E_TESTS, &[&isolated, "--", "--test-threads=1"])
}

/// Makes all that there is for browsers; what isolates a program that cargo runs.
fn for_browsers(ws: &Workspace) -> Result<String, Error> {
    wasm::build_tools(ws)?;
    console::build(ws)?;
    isolate::cargo_option("cfg(all())", None)
}
