//! Supervised adapters: processes that are started, started again after a while when they end, and stopped.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::{Either, select};
use peerage::limits::{ADAPTER_STOP_GRACE, PROGRAM_LOG_BYTES_MAX};
use peerage::log::{CONNECTION, ERROR, MESSAGE};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use super::hotplug;
use crate::config::SupervisedConfig;

/// What a supervised process has in its environment, so that it knows to end with its standard input.
pub(crate) const SUPERVISED: &str = "PEERAGE_SUPERVISED";
/// What stands in a command for the device that has appeared.
const DEVICE: &str = "{device}";
/// A process that has run this long has worked: the next pause is a short one again.
const WORKED: Duration = Duration::from_secs(10);

/// Keeps an adapter running, always or while its device is there, until all is over.
pub(super) async fn keep(adapter: &SupervisedConfig, sysfs: &Path, over: impl Future<Output = ()>) {
    let mut over = pin!(over);
    let mut pause = adapter.restart.min();
    loop {
        let device = async {
            match &adapter.when {
                Some(wanted) => Some(hotplug::appeared(wanted, sysfs).await),
                None => None,
            }
        };
        let Either::Left((device, _)) = select(pin!(device), &mut over).await else {
            return;
        };
        let began = Instant::now();
        if run(adapter, device.as_deref(), sysfs, over.as_mut()).await == Run::Over {
            return;
        }
        if began.elapsed() > WORKED {
            pause = adapter.restart.min();
        }
        if let Either::Right(_) = select(pin!(sleep(pause)), &mut over).await {
            return;
        }
        pause = (pause * 2).min(adapter.restart.max());
    }
}

/// Whether an adapter is to run again.
#[derive(PartialEq, Eq)]
enum Run {
    Again,
    Over,
}

/// Runs an adapter until it ends, its device is gone, or all is over.
async fn run(
    adapter: &SupervisedConfig,
    device: Option<&Path>,
    sysfs: &Path,
    over: impl Future<Output = ()>,
) -> Run {
    let name = adapter.name.as_str();
    // Its standard input ends with this relay, however that ends.
    let (mut child, _alive) = match start(adapter, device) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!(target: ERROR, adapter = name, %error, "an adapter cannot be started");
            return Run::Again;
        }
    };
    tracing::info!(target: CONNECTION, adapter = name, "an adapter is started");
    let run = tokio::select! {
        ended = child.wait() => {
            tell(name, ended);
            return Run::Again;
        }
        () = unplugged(adapter, device, sysfs) => Run::Again,
        () = over => Run::Over,
    };
    tracing::info!(target: CONNECTION, adapter = name, "an adapter is stopped");
    stop(&mut child).await;
    run
}

async fn unplugged(adapter: &SupervisedConfig, device: Option<&Path>, sysfs: &Path) {
    match (&adapter.when, device) {
        (Some(wanted), Some(device)) => hotplug::gone(device, wanted, sysfs).await,
        _ => std::future::pending().await,
    }
}

/// Starts its command, without a shell.
fn start(
    adapter: &SupervisedConfig,
    device: Option<&Path>,
) -> io::Result<(Child, Option<ChildStdin>)> {
    let device = device.map(|device| device.to_string_lossy().into_owned());
    let words = adapter.command.iter().map(|word| match &device {
        Some(device) => word.replace(DEVICE, device),
        None => word.clone(),
    });
    let mut words = words;
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = Command::new(program)
        .args(words)
        .env(SUPERVISED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let name = adapter.name.to_string();
    if let Some(said) = child.stdout.take() {
        tokio::spawn(listen(name.clone(), said));
    }
    if let Some(said) = child.stderr.take() {
        tokio::spawn(listen(name, said));
    }
    let alive = child.stdin.take();
    Ok((child, alive))
}

/// Logs what it says, line by line; of a long line the beginning.
async fn listen(name: String, mut said: impl AsyncRead + Unpin) {
    let (mut line, mut bytes) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = said.read(&mut bytes).await {
        for byte in &bytes[..count] {
            match byte {
                b'\n' => {
                    let text = String::from_utf8_lossy(&line);
                    tracing::info!(target: MESSAGE, adapter = name, "{text}");
                    line.clear();
                }
                byte if line.len() < PROGRAM_LOG_BYTES_MAX => line.push(*byte),
                _ => {}
            }
        }
    }
}

fn tell(name: &str, ended: io::Result<ExitStatus>) {
    match ended {
        Ok(status) => {
            tracing::warn!(target: ERROR, adapter = name, %status, "a supervised adapter has ended");
        }
        Err(error) => {
            tracing::error!(target: ERROR, adapter = name, %error, "an adapter is lost");
        }
    }
}

/// Ends a process in good order, or else by force.
async fn stop(child: &mut Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // It may have ended just now.
        let _ = kill_process(id, Signal::TERM);
    }
    if timeout(ADAPTER_STOP_GRACE, child.wait()).await.is_err() {
        // Likewise.
        let _ = child.kill().await;
    }
}
