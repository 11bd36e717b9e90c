//! Where things are, and how other programs are started.

use crate::Error;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout that the chores work in.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Whether cargo tells only what went wrong.
    pub(crate) quiet: bool,
}

impl Workspace {
    /// The checkout that this program was built from.
    pub(crate) fn find() -> Result<Self, Error> {
        let failed = |why: &str| Error::Failed(format!("cannot find the workspace: {why}"));
        let exe = env::current_exe().map_err(|error| failed(&error.to_string()))?;
        // The program is TARGET/PROFILE/xtask, wherever the user has moved the target folder to.
        let target = exe
            .ancestors()
            .nth(2)
            .ok_or_else(|| failed("xtask is not in a target folder"))?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| failed("xtask has no parent folder"))?;
        Ok(Self {
            root: root.to_owned(),
            target: target.to_owned(),
            quiet: false,
        })
    }

    /// Cargo in the workspace's root, by the lock file.
    pub(crate) fn cargo(&self, task: &str, args: &[&str]) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).args([task]).args(args);
        // `cargo run` described this package to us. Passed on, that would wake up every build
        // script that watches these variables, and half of the workspace behind it.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        if self.quiet {
            cargo.env("CARGO_TERM_QUIET", "true");
        }
        cargo
    }
}

/// Runs a command to its end; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Failed(format!("{} failed: {status}", line(command)))),
        Err(error) => Err(cannot_start(command, &error)),
    }
}

/// Makes this process into that command, so that signals and the exit status are its own.
#[cfg(unix)]
pub(crate) fn become_command(command: &mut Command) -> Result<(), Error> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(cannot_start(command, &error))
}

/// Runs the command and ends as it ends.
#[cfg(not(unix))]
pub(crate) fn become_command(command: &mut Command) -> Result<(), Error> {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Err(cannot_start(command, &error)),
    }
}

/// Where a program is; system programs too, which are not on everyone's `PATH`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().display();
    Error::Failed(format!("cannot start {program}: {error}"))
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
