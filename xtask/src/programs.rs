//! Programs of `tests/`, a few at once: most of the time each of them waits.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::Error;

/// How many run at once.
const AT_ONCE: usize = 2;

/// Runs the command of each of these to its end. What one says is told only if it fails.
pub(crate) fn run_each(
    names: &[&str],
    command: impl Fn(&str) -> Command + Sync,
) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let said = command(name).output().map_err(|error| error.to_string());
                    let why = failure(said);
                    let verdict = if why.is_none() { "ok" } else { "FAILED" };
                    // One line at once, whoever else says something.
                    eprintln!(
                        "  {name:<16} {verdict:<6} {:>4} s",
                        start.elapsed().as_secs()
                    );
                    if let Some(why) = why {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        eprintln!("{why}");
                        failed.push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::Failed(format!("failed: {}", failed.join(", ")))),
    }
}

/// What a program said that failed.
fn failure(said: Result<Output, String>) -> Option<String> {
    match said {
        Ok(said) if said.status.success() => None,
        Ok(Output {
            status,
            stdout,
            stderr,
        }) => {
            let [out, err] =
                [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
            Some(format!("{}\n{}\n{status}", out.trim_end(), err.trim_end()))
        }
        Err(error) => Some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runs_and_those_that_fail_are_named() {
        let shell = |name: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", name]);
            command
        };
        assert!(run_each(&["true", "exit 0", ":"], shell).is_ok());
        let error = run_each(&["exit 3", "true", "exit 4"], shell).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("exit 3") && told.contains("exit 4"), "{told}");
        assert!(!told.contains("true"), "{told}");
    }
}
