//! A robot: it has one arm, which moves a step at a time, for one caller after the other.

use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex;
use futures_util::stream::select_all;
use peerage::node::{Datagrams, Stream};
use peerage::{Code, Failure, Node};

use crate::remote::MINOR;
use crate::wire::{FrameError, Point, Reply, Request, Tick, line, read_line};
use crate::{V1, V2};

/// How far it moves at once.
const STEP_MM: i32 = 10;
/// How long that takes.
const STEP_TIME: Duration = Duration::from_millis(2);
/// Callers at once; more of them wait.
const CALLERS_MAX: usize = 64;
/// Moves of one caller that wait.
const MOVES_MAX: usize = 256;

/// A robot that other nodes may move. Clones are the same.
#[derive(Clone)]
pub struct Robot {
    node: Node,
    at: Arc<Mutex<Point>>,
    ticks: Arc<AtomicU32>,
}

/// One caller of `acme/robot/2`.
struct Caller {
    robot: Robot,
    stream: Stream,
    telemetry: Datagrams,
    waiting: VecDeque<(u32, Point)>,
    /// No more requests come.
    ended: bool,
}

impl Robot {
    /// A robot at the origin.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            at: Arc::default(),
            ticks: Arc::default(),
        }
    }

    /// Lets itself be moved in these versions, until the node leaves or this is dropped.
    pub async fn serve(self, versions: &[&str]) {
        let callers = select_all(versions.iter().map(|version| self.node.listen(version)));
        let answer = |stream| self.clone().answer(stream);
        callers.for_each_concurrent(CALLERS_MAX, answer).await;
    }

    async fn answer(self, stream: Stream) {
        // An error is told to the caller by the stream's end; the robot has nobody else to tell.
        if stream.protocol() == V1 {
            if let Err(failure) = self.lines(&stream).await {
                stream.reset(failure);
            }
        } else if let Ok(telemetry) = self.node.datagrams(stream.peer(), V2) {
            let mut caller = Caller {
                robot: self,
                stream,
                telemetry,
                waiting: VecDeque::new(),
                ended: false,
            };
            if let Err(failure) = caller.serve().await {
                caller.stream.reset(failure);
            }
        }
    }

    async fn lines(&self, stream: &Stream) -> Result<(), Failure> {
        while let Some(asked) = stream.recv().await? {
            let Ok(("MOVE", to)) = read_line(&asked) else {
                let error = Bytes::from_static(b"ERROR expected MOVE x y");
                stream.send(error).await?;
                continue;
            };
            let mut at = self.at.lock().await;
            while *at != to {
                *at = step(*at, to);
                stream.send(line("AT", *at)).await?;
                self.node.sleep(STEP_TIME).await;
            }
            stream.send(line("DONE", to)).await?;
        }
        stream.finish();
        Ok(())
    }
}

impl Caller {
    async fn serve(&mut self) -> Result<(), Failure> {
        let hello = self.stream.recv().await?;
        let hello = hello.map(Request::decode).transpose().map_err(bad)?;
        let Some(Request::Hello(minor, _)) = hello else {
            return Err(Code::BadMessage.because("expected a hello"));
        };
        let welcome = Reply::Welcome(minor.min(MINOR), "Acme robot".into());
        self.stream.send(welcome.encode()).await?;
        loop {
            while let Some((number, to)) = self.waiting.pop_front() {
                self.go(number, to).await?;
            }
            if self.ended {
                self.stream.finish();
                return Ok(());
            }
            let request = self.stream.recv().await?;
            self.hear(request).await?;
        }
    }

    async fn go(&mut self, number: u32, to: Point) -> Result<(), Failure> {
        let arm = Arc::clone(&self.robot.at);
        let mut at = arm.lock().await;
        let mut stopped = false;
        while *at != to && !stopped {
            *at = step(*at, to);
            self.tell(number, *at, false).await?;
            stopped = self.pause().await?;
        }
        self.tell(number, *at, true).await
    }

    async fn tell(&self, number: u32, at: Point, over: bool) -> Result<(), Failure> {
        let sequence = self.robot.ticks.fetch_add(1, Ordering::Relaxed);
        // What cannot leave now is of no use later.
        let _ = self.telemetry.send(Tick { sequence, at }.encode());
        let position = Reply::Position(number, at, over);
        self.stream.send(position.encode()).await
    }

    /// Lets a step take its time, and hears the caller in the meantime: whether it says stop.
    async fn pause(&mut self) -> Result<bool, Failure> {
        let node = self.robot.node.clone();
        let mut step = pin!(node.sleep(STEP_TIME));
        while !self.ended {
            let heard = poll_fn(|cx| self.stream.poll_recv(cx));
            let request = match select(step.as_mut(), heard).await {
                Either::Left(_) => return Ok(false),
                Either::Right((request, _)) => request?,
            };
            if self.hear(request).await? {
                return Ok(true);
            }
        }
        step.await;
        Ok(false)
    }

    /// Takes a request to heart. Whether it is to stop.
    async fn hear(&mut self, request: Option<Bytes>) -> Result<bool, Failure> {
        let Some(request) = request else {
            self.ended = true;
            return Ok(false);
        };
        match Request::decode(request).map_err(bad)? {
            Request::Move(number, to) if self.waiting.len() < MOVES_MAX => {
                self.waiting.push_back((number, to));
            }
            Request::Move(number, _) => {
                let refused = Reply::Refused(number, "too many moves wait".into());
                self.stream.send(refused.encode()).await?;
            }
            Request::Stop => {
                for (number, _) in self.waiting.split_off(0) {
                    let refused = Reply::Refused(number, "stopped before".into());
                    self.stream.send(refused.encode()).await?;
                }
                return Ok(true);
            }
            Request::Hello(..) => return Err(Code::BadMessage.because("a second hello")),
        }
        Ok(false)
    }
}

fn step(from: Point, to: Point) -> Point {
    let towards = |from: i32, to: i32| {
        let left = i64::from(to) - i64::from(from);
        let left = left.clamp(-i64::from(STEP_MM), i64::from(STEP_MM));
        from.saturating_add(left as i32)
    };
    Point {
        x: towards(from.x, to.x),
        y: towards(from.y, to.y),
    }
}

fn bad(error: FrameError) -> Failure {
    Code::BadMessage.because(error.to_string())
}
