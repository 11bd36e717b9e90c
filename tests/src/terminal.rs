//! A peer at a terminal, as somebody sits before it: a pseudo terminal, by util-linux's `script`.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::process::program;
use crate::{Relay, until};

/// A prompt at a terminal of its own, which ends with this.
pub struct Terminal {
    process: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<String>>,
    /// How much of it has been seen.
    seen: usize,
}

impl Terminal {
    /// `peerage peer` of this name at a terminal, once its prompt is there. Its history is in `state`.
    pub async fn start(relay: &Relay, name: &str, state: &TempDir) -> Self {
        let program = program().into_string().unwrap();
        let mesh = relay.mesh();
        let line = format!("stty cols 120; exec {program} peer --name {name} --relay {mesh}");
        let mut process = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script, of util-linux");
        let mut output = process.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let writing = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..len]);
                writing.lock().unwrap().push_str(&text);
            }
        });
        let mut terminal = Self {
            keys: process.stdin.take(),
            process,
            shown,
            seen: 0,
        };
        terminal.until_shown(&format!("{name}> ")).await;
        terminal
    }

    /// Presses these keys.
    pub fn press(&mut self, keys: &str) {
        let keyboard = self.keys.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits until this is shown after what was seen before.
    pub async fn until_shown(&mut self, text: &str) {
        let (shown, seen) = (Arc::clone(&self.shown), self.seen);
        let at = || shown.lock().unwrap()[seen..].find(text);
        until(&format!("`{text}` is shown"), async || at().is_some()).await;
        self.seen += at().unwrap_or_default() + text.len();
    }

    /// What has been shown so far.
    pub fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits for the end of the process; its exit status.
    pub async fn ended(&mut self) -> i32 {
        let mut status = None;
        until("the peer has ended", async || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.and_then(|status| status.code()).unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
