//! Programs in C with Debian's libenet, which know nothing of Peerage.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::until;

/// A program that is built.
pub struct C {
    folder: TempDir,
}

/// A process of one, which ends with this.
pub struct Running {
    process: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Vec<String>>>,
}

impl C {
    /// Builds a source of this repository.
    pub fn build(source: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir().unwrap();
        let built = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .arg(folder.path().join("program"))
            .arg(root.join(source))
            .args(["-lenet", "-lm"])
            .status();
        assert!(built.unwrap().success(), "{source}");
        Self { folder }
    }

    /// Runs it.
    pub fn run(&self, args: &[&str]) -> Running {
        let mut process = Command::new(self.folder.path().join("program"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::default();
        listen(process.stdout.take().unwrap(), Arc::clone(&said));
        listen(process.stderr.take().unwrap(), Arc::clone(&said));
        let stdin = process.stdin.take();
        Running {
            process,
            stdin,
            said,
        }
    }
}

fn listen(from: impl std::io::Read + Send + 'static, said: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            said.lock().unwrap().push(line);
        }
    });
}

impl Running {
    /// What it has said so far, line by line.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said a line that contains this, and tells the line.
    pub async fn until_said(&self, words: &str) -> String {
        let found = || {
            let said = self.said();
            said.into_iter().find(|line| line.contains(words))
        };
        until(
            &format!("it says {words}; it said {:?}", self.said()),
            async || found().is_some(),
        )
        .await;
        found().unwrap()
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits until it has ended: its status.
    pub async fn ended(&mut self) -> i32 {
        let mut status = None;
        for _ in 0..crate::LOOKS_MAX {
            status = self.process.try_wait().unwrap();
            if status.is_some() {
                break;
            }
            tokio::time::sleep(crate::LOOK_EVERY).await;
        }
        status.expect("it ends").code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
