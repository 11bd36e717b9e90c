//! A cable between two hosts on which datagrams are lost, late and overtaken (Linux): `tests/lan/netem.c` carries them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::lan::Host;

/// What becomes of datagrams of UDP, in both directions. All else passes as it is.
#[derive(Clone, Copy, Debug)]
pub struct Netem {
    /// Of a hundred so many are lost, by chance.
    pub loss_percent: u32,
    /// How late they are,
    pub delay: Duration,
    /// give or take so much, by chance: they overtake each other.
    pub jitter: Duration,
    /// Where chance begins.
    pub seed: u64,
}

/// The cable, which is there for as long as this is.
pub struct Cable {
    carrier: Child,
    said: Mutex<BufReader<ChildStdout>>,
}

/// An end of a cable: the host, its interface, and the address there.
pub type End<'a> = (&'a Host, &'static str, &'static str);

/// What became of datagrams so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// They came out at the other end,
    pub carried: u64,
    /// and of these so many after one that was sent later.
    pub overtaken: u64,
    /// They were lost.
    pub lost: u64,
}

impl Cable {
    /// Joins two hosts.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn between(ends: [End<'_>; 2], how: Netem) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("netem");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("lan/netem.c");
        let built = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .args([&program, &source])
            .status();
        assert!(built.unwrap().success(), "{}", source.display());
        let places = ends.map(|(host, name, _)| [host.id().to_string(), name.to_owned()]);
        let numbers = [
            how.loss_percent.into(),
            how.delay.as_millis(),
            how.jitter.as_millis(),
            how.seed.into(),
        ];
        let mut carrier = Command::new(program)
            .args(places.as_flattened())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(carrier.stdout.take().unwrap());
        let said = Mutex::new(said);
        let cable = Self { carrier, said };
        assert_eq!(cable.line(), "ready");
        for (host, name, address) in ends {
            host.run(&format!(
                "ip addr add {address} dev {name}; ip link set {name} up"
            ));
        }
        cable
    }

    /// From now on all datagrams are lost, or none but by chance.
    pub fn cut(&self, is_cut: bool) {
        self.tell(if is_cut { "cut" } else { "mend" });
    }

    /// What became of datagrams so far.
    pub fn counts(&self) -> Counts {
        self.tell("counts");
        let line = self.line();
        let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Counts {
            carried: next(),
            overtaken: next(),
            lost: next(),
        }
    }

    fn tell(&self, line: &str) {
        let mut input = self.carrier.stdin.as_ref().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    fn line(&self) -> String {
        let mut line = String::new();
        self.said.lock().unwrap().read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.carrier.kill();
        let _ = self.carrier.wait();
    }
}
