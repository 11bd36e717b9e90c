//! A network of one's own: loopback with an address and a default route, and no way out.
//!
//! Browsers gather ICE candidates only where there is a route; on a real network they would also
//! announce themselves to the neighbours.

use crate::Error;
use crate::workspace::{Workspace, become_command};
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Becomes the command in `$@`, once the loopback interface is up. `ip` is a system program, which
/// not everyone has on the `PATH`.
const SETUP: &str = r#"
set -e
PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up
ip addr add 10.77.0.1/32 dev lo
ip route add default dev lo src 10.77.0.1
exec "$@"
"#;

/// `cargo xtask isolate CMD...`
pub(crate) fn isolate(_: &Workspace, args: &[OsString]) -> Result<(), Error> {
    if args.is_empty() {
        return Err(Error::Usage("isolate: expected a command".into()));
    }
    become_command(command()?.args(args))
}

/// Runs the program that is its first argument isolated.
pub(crate) fn command() -> Result<Command, Error> {
    let mut command = Command::new("unshare");
    command.args([new_network()?, "sh", "-c", SETUP, "isolate"]);
    Ok(command)
}

/// The option that lets `cargo test` build here and run every test program isolated. `runner` is
/// what starts programs of that target, if they do not start by themselves.
pub(crate) fn cargo_option(target: &str, runner: Option<&Path>) -> Result<String, Error> {
    let xtask = env::current_exe()
        .map_err(|error| Error::Failed(format!("cannot find xtask itself: {error}")))?;
    let runner = runner.map(|path| format!(", {path:?}")).unwrap_or_default();
    Ok(format!(
        r#"--config=target.'{target}'.runner=[{xtask:?}, "isolate"{runner}]"#
    ))
}

/// How `unshare` is told to make a network: as root, or else in a user namespace.
fn new_network() -> Result<&'static str, Error> {
    let works = |flag: &&str| {
        let mut unshare = Command::new("unshare");
        unshare.args([flag, "true"]).stderr(Stdio::null());
        unshare.status().is_ok_and(|status| status.success())
    };
    ["-n", "-rn"].into_iter().find(works).ok_or_else(|| {
        Error::Failed(
            "cannot make a network namespace: expected Linux with util-linux's `unshare`, and \
             root or unprivileged user namespaces"
                .into(),
        )
    })
}
