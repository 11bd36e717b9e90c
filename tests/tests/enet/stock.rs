//! The other end: a program in C around the system's libenet (`tests/enet/stock.c`).

use super::pattern;
use peerage_tests::free_port;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

/// How both ends write their datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mode {
    pub(crate) checksum: bool,
    pub(crate) compression: bool,
}

/// Which packets to send: `count` of them on `channel`, each of `len` bytes, by `seed` and those
/// after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) channel: u8,
    /// As in `stock.c`: `r`eliable, `u`nreliable, un`s`equenced, unreliable `f`ragments.
    pub(crate) kind: char,
    pub(crate) len: usize,
    pub(crate) seed: u32,
    pub(crate) count: u32,
}

/// A stock program, which ends with this.
pub(crate) struct Stock {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    pub(crate) port: u16,
}

impl Stock {
    /// One that waits for so many peers with so many channels.
    pub(crate) fn listen(mode: Mode, peers: usize, channels: usize, options: &str) -> Self {
        let port = free_port();
        let mut stock = Self::start(
            &["listen", &port.to_string()],
            mode,
            peers,
            channels,
            options,
        );
        stock.port = port;
        stock
    }

    /// One that connects.
    pub(crate) fn connect(mode: Mode, port: u16, channels: usize, data: u32) -> Self {
        let data = data as usize;
        Self::start(&["connect", &port.to_string()], mode, channels, data, "")
    }

    fn start(how: &[&str], mode: Mode, a: usize, b: usize, options: &str) -> Self {
        let mut letters = format!("-{options}");
        if mode.checksum {
            letters.push('c');
        }
        if mode.compression {
            letters.push('z');
        }
        let mut process = Command::new(program())
            .args(how)
            .args([a.to_string(), b.to_string(), letters])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (to, lines) = channel();
        let output = BufReader::new(output.unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        let stock = Self {
            process,
            input: input.unwrap(),
            lines,
            port: 0,
        };
        let ready = stock.lines.recv().unwrap();
        assert!(ready.starts_with("ready"), "{ready}");
        stock
    }

    /// Has something done; `stock.c` says what there is.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub(crate) fn send(&mut self, peer: usize, batch: Batch) {
        let Batch {
            channel,
            kind,
            len,
            seed,
            count,
        } = batch;
        self.tell(&format!(
            "send {peer} {channel} {kind} {len} {seed} {count}"
        ));
    }

    /// What has happened since it was asked last.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The line that tells that a packet came.
pub(crate) fn receive_line(peer: usize, batch: Batch, n: u32) -> String {
    let bytes = pattern(batch.len, batch.seed + n);
    let hash = bytes.iter().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(16_777_619)
    });
    let flags = match batch.kind {
        'r' => 1,
        's' => 2,
        'f' => 8,
        _ => 0,
    };
    format!(
        "receive {peer} {} {flags} {} {hash}",
        batch.channel, batch.len
    )
}

/// The program, built once.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/enet/stock.c");
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("enet-stock");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program);
        let built = cc.arg(source).arg("-lenet").status().unwrap();
        assert!(built.success(), "cc failed; is libenet-dev there?");
        program
    })
}
