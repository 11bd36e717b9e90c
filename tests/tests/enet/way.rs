//! A way between two ends that loses, doubles and delays datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What happens, of a thousand datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
}

/// Who connects to `port` gets to `to`; it ends with this.
pub(crate) struct Way {
    pub(crate) port: u16,
    ended: Arc<AtomicBool>,
    moves: Arc<AtomicBool>,
}

impl Way {
    pub(crate) fn new(to: u16, weather: Weather) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&near, &far] {
            socket.set_nonblocking(true).unwrap();
        }
        let port = near.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let moves = Arc::new(AtomicBool::new(false));
        let way = Running {
            near,
            far,
            to: SocketAddr::from(([127, 0, 0, 1], to)),
            from: None,
            weather,
            late: Vec::new(),
            random: 0x2545_F491_4F6C_DD1D,
        };
        let (is_ended, is_moved) = (ended.clone(), moves.clone());
        std::thread::spawn(move || way.run(&is_ended, &is_moved));
        Self { port, ended, moves }
    }

    /// From now on the far end hears it from another port, as behind a router that has forgotten it.
    pub(crate) fn move_on(&self) {
        self.moves.store(true, Ordering::Relaxed);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

struct Running {
    near: UdpSocket,
    far: UdpSocket,
    to: SocketAddr,
    /// Who connects.
    from: Option<SocketAddr>,
    weather: Weather,
    late: Vec<(Instant, bool, Vec<u8>)>,
    random: u64,
}

impl Running {
    fn run(mut self, ended: &AtomicBool, moves: &AtomicBool) {
        let mut buffer = [0; 5000];
        while !ended.load(Ordering::Relaxed) {
            if moves.swap(false, Ordering::Relaxed) {
                self.far = UdpSocket::bind("127.0.0.1:0").unwrap();
                self.far.set_nonblocking(true).unwrap();
            }
            let mut is_idle = true;
            while let Ok((len, from)) = self.near.recv_from(&mut buffer) {
                self.from = Some(from);
                self.carry(true, &buffer[..len]);
                is_idle = false;
            }
            while let Ok((len, _)) = self.far.recv_from(&mut buffer) {
                self.carry(false, &buffer[..len]);
                is_idle = false;
            }
            let now = Instant::now();
            let (due, late) = std::mem::take(&mut self.late)
                .into_iter()
                .partition(|(at, ..)| *at <= now);
            self.late = late;
            let due: Vec<(Instant, bool, Vec<u8>)> = due;
            for (_, there, datagram) in due {
                self.send(there, &datagram);
            }
            if is_idle {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    fn carry(&mut self, there: bool, datagram: &[u8]) {
        if self.chance(self.weather.lost) {
            return;
        }
        let times = if self.chance(self.weather.doubled) {
            2
        } else {
            1
        };
        for _ in 0..times {
            if self.chance(self.weather.reordered) {
                let delay = Duration::from_millis(self.draw() % 12);
                self.late
                    .push((Instant::now() + delay, there, datagram.to_vec()));
            } else {
                self.send(there, datagram);
            }
        }
    }

    fn send(&self, there: bool, datagram: &[u8]) {
        if there {
            self.far.send_to(datagram, self.to).ok();
        } else if let Some(from) = self.from {
            self.near.send_to(datagram, from).ok();
        }
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        self.draw() % 1000 < of_thousand
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
