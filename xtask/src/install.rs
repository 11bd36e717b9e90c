//! What a chore needs on the machine, and how it gets there.

use crate::Error;
use crate::workspace::{run, which};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a fresh machine may lack.
pub(crate) enum Need {
    /// Rust's standard library for the browser.
    WasmTarget,
    /// A rustup component, by the program that it brings.
    Component(&'static str, &'static str),
    /// A Debian package with a module for Debian's own Python, by the module's name.
    Module(&'static str, &'static str),
    /// A Debian package, by the programs any of which will do.
    Package(&'static str, &'static [&'static str]),
    /// A Debian package, by a file that it brings.
    File(&'static str, &'static str),
}

pub(crate) const RUSTFMT: Need = Need::Component("rustfmt", "cargo-fmt");
pub(crate) const CLIPPY: Need = Need::Component("clippy", "cargo-clippy");
pub(crate) const BROWSER: Need = Need::Package(
    "chromium",
    &["chromium", "chromium-browser", "google-chrome"],
);
pub(crate) const DRIVER: Need = Need::Package("chromium-driver", &["chromedriver"]);
pub(crate) const IP: Need = Need::Package("iproute2", &["ip"]);
/// A terminal for the peer's prompt.
pub(crate) const SCRIPT: Need = Need::Package("bsdutils", &["script"]);
pub(crate) const NFT: Need = Need::Package("nftables", &["nft"]);
/// A client of HTTP that is not ours.
pub(crate) const CURL: Need = Need::Package("curl", &["curl"]);
/// Clients of STUN and TURN that are not ours.
pub(crate) const COTURN: Need = Need::Package("coturn", &["turnutils_uclient"]);

/// A DNS-SD tool that knows nothing of us, with its daemon and their bus; and a DNS server.
pub(crate) const AVAHI: Need = Need::Package("avahi-daemon", &["avahi-daemon"]);
pub(crate) const AVAHI_BROWSE: Need = Need::Package("avahi-utils", &["avahi-browse"]);
pub(crate) const DBUS: Need = Need::Package("dbus-daemon", &["dbus-daemon"]);
pub(crate) const DNSMASQ: Need = Need::Package("dnsmasq-base", &["dnsmasq"]);

pub(crate) const NATS: Need = Need::Package("nats-server", &["nats-server"]);
pub(crate) const MOSQUITTO: Need = Need::Package("mosquitto", &["mosquitto"]);
/// Clients of MQTT that are not ours.
pub(crate) const MOSQUITTO_CLIENTS: Need =
    Need::Package("mosquitto-clients", &["mosquitto_pub", "mosquitto_sub"]);
pub(crate) const PAHO: Need = Need::Module("python3-paho-mqtt", "paho.mqtt.client");
pub(crate) const NGINX: Need = Need::Package("nginx-light", &["nginx"]);
pub(crate) const CBOR2: Need = Need::Module("python3-cbor2", "cbor2");
/// A simulator of Modbus devices that is not ours, and what it wants besides.
pub(crate) const PYMODBUS: Need = Need::Module("python3-pymodbus", "pymodbus");
pub(crate) const SERIAL_ASYNCIO: Need = Need::Module("python3-serial-asyncio", "serial_asyncio");
pub(crate) const NPM: Need = Need::Package("npm", &["npm"]);
/// The stock library of ENet, and a compiler for programs with it.
pub(crate) const LIBENET: Need = Need::File("libenet-dev", "/usr/include/enet/enet.h");
pub(crate) const CC: Need = Need::Package("gcc", &["cc"]);
pub(crate) const CXX: Need = Need::Package("g++", &["c++", "g++"]);

const WASM: &str = "wasm32-unknown-unknown";

/// Installs what is missing, or says what it is and how to get it.
pub(crate) fn install<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<(), Error> {
    let mut packages = Vec::new();
    for need in needs.filter(|need| !is_there(need)) {
        match need {
            Need::WasmTarget => rustup(&["target", "add", WASM])?,
            Need::Component(name, _) => rustup(&["component", "add", name])?,
            Need::Package(name, _) | Need::Module(name, _) | Need::File(name, _) => {
                if !packages.contains(name) {
                    packages.push(name);
                }
            }
        }
    }
    let Some(first) = packages.first() else {
        return Ok(());
    };
    if which("apt-get").is_none() || !is_root() {
        return Err(Error::Failed(format!(
            "the package {first} is missing; install it with your package manager, on Debian and \
             Ubuntu by `apt-get install {first}` as root"
        )));
    }
    apt_get(&packages)
}

fn is_there(need: &Need) -> bool {
    match need {
        Need::WasmTarget => {
            let folder = output_of("rustc", &["--print", "target-libdir", "--target", WASM]);
            folder.is_some_and(|folder| Path::new(&folder).is_dir())
        }
        // rustup puts a stand-in on the `PATH` for every program: only calling it tells.
        Need::Component(_, program) => output_of(program, &["--version"]).is_some(),
        Need::Module(_, module) => {
            output_of("/usr/bin/python3", &["-c", &format!("import {module}")]).is_some()
        }
        Need::File(_, file) => Path::new(file).exists(),
        Need::Package(_, programs) => programs.iter().any(|program| which(program).is_some()),
    }
}

fn rustup(args: &[&str]) -> Result<(), Error> {
    if which("rustup").is_none() {
        let args = args.join(" ");
        return Err(Error::Failed(format!(
            "this needs what `rustup {args}` installs, and rustup is missing: https://rustup.rs"
        )));
    }
    run(Command::new("rustup").args(args))
}

fn apt_get(packages: &[&str]) -> Result<(), Error> {
    eprintln!("installing {}", packages.join(", "));
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null());
        command
    };
    run(&mut apt_get(&["-qq", "update"]))?;
    run(apt_get(&["-qq", "install", "--no-install-recommends"]).args(packages))
}

fn is_root() -> bool {
    output_of("id", &["-u"]).is_some_and(|id| id == "0")
}

/// What a program prints, when it is there and succeeds.
pub(crate) fn output_of(program: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
