//! Loads: pairs that send as much as is taken, one that sends to many, and questions with answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Count, Failed, Socket};
use crate::server::{Server, System};

/// How long a load lasts, after it has warmed up.
const SPAN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
/// Connections that are made at once.
const AT_ONCE: usize = 64;
/// Messages sent in one go.
const BATCH: usize = 128;
/// Bytes of a pair that may be under way.
const WINDOW_BYTES: usize = 192 * 1024;

/// What a load has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Messages delivered a second.
    pub(crate) rate: f64,
    /// Microseconds of the server's processor time for each.
    pub(crate) micros: f64,
}

/// The load of several senders and readers, while it lasts.
pub(crate) struct Load {
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) over: Arc<AtomicBool>,
    pub(crate) tasks: JoinSet<()>,
}

impl Load {
    /// Pairs that each send messages of this size; as many as are taken, or so many batches a second.
    pub(crate) async fn pairs(
        server: &Server,
        pairs: u32,
        size: usize,
        pace: Option<f64>,
    ) -> Result<Self, Failed> {
        let mut load = Self::new();
        let targets: Vec<_> = (0..pairs).map(|n| 2 * n).collect();
        let readers = connect_all(server, targets.iter().map(|n| (*n, vec![])).collect()).await?;
        let senders = targets.iter().map(|n| (n + 1, vec![*n])).collect();
        let senders = connect_all(server, senders).await?;
        for (target, (reader, client)) in targets.into_iter().zip(readers.into_iter().zip(senders))
        {
            let batch = client.batch(&[target], size, BATCH);
            let window = Arc::new(Semaphore::new((WINDOW_BYTES / size.max(64)).max(2 * BATCH)));
            let count = Client::count(server.system, target, size, false);
            load.read(reader, count, Arc::clone(&window));
            load.write(client, batch, BATCH as u32, window, pace);
        }
        Ok(load)
    }

    /// One that sends messages of this size to many.
    pub(crate) async fn fan(server: &Server, readers: u32, size: usize) -> Result<Self, Failed> {
        let mut load = Self::new();
        let targets: Vec<_> = (0..readers).collect();
        let window = Arc::new(Semaphore::new(0));
        let sockets = connect_all(server, targets.iter().map(|n| (*n, vec![])).collect()).await?;
        let client = Client::connect(server.system, &server.url, readers, &targets).await?;
        let rounds = 4;
        window.add_permits(rounds * 2 * targets.len());
        let batch = client.batch(&targets, size, rounds);
        for (n, reader) in sockets.into_iter().enumerate() {
            let count = Client::count(server.system, n as u32, size, true);
            load.read(reader, count, Arc::clone(&window));
        }
        load.write(client, batch, (rounds * targets.len()) as u32, window, None);
        Ok(load)
    }

    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            received: Arc::default(),
            over: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    fn read(&mut self, client: Client, count: Count, window: Arc<Semaphore>) {
        let received = Arc::clone(&self.received);
        let (sink, stream) = client.socket.split();
        self.tasks.spawn(async move {
            read(stream, count, &window, &received).await;
            drop(sink);
        });
    }

    fn write(
        &mut self,
        client: Client,
        batch: Vec<Message>,
        messages: u32,
        window: Arc<Semaphore>,
        pace: Option<f64>,
    ) {
        let over = Arc::clone(&self.over);
        let (sink, mut stream) = client.socket.split();
        self.tasks
            .spawn(write(sink, batch, messages, window, pace, over));
        // What comes back is nothing but signs of life.
        self.tasks
            .spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    }

    /// What it costs the server for a while.
    pub(crate) async fn measure(&self, server: &Server) -> Cost {
        tokio::time::sleep(WARM_UP).await;
        let (start, cpu) = (Instant::now(), server.cpu());
        let before = self.received.load(Ordering::Relaxed);
        tokio::time::sleep(SPAN).await;
        let messages = (self.received.load(Ordering::Relaxed) - before) as f64;
        Cost {
            rate: messages / start.elapsed().as_secs_f64(),
            micros: (server.cpu() - cpu) * 1e6 / messages.max(1.0),
        }
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
    }
}

async fn read(
    mut stream: SplitStream<Socket>,
    count: Count,
    window: &Semaphore,
    received: &AtomicU64,
) {
    let mut rest = 0;
    while let Some(Ok(message)) = stream.next().await {
        let messages = match count {
            Count::Messages => usize::from(message.is_binary()),
            Count::Bytes(len) => {
                rest += message.len();
                let whole = rest / len;
                rest %= len;
                whole
            }
        };
        received.fetch_add(messages as u64, Ordering::Relaxed);
        window.add_permits(messages);
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    batch: Vec<Message>,
    messages: u32,
    window: Arc<Semaphore>,
    pace: Option<f64>,
    over: Arc<AtomicBool>,
) {
    let mut ticks = pace.map(|pace| tokio::time::interval(Duration::from_secs_f64(1.0 / pace)));
    while !over.load(Ordering::Relaxed) {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let Ok(room) = window.acquire_many(messages).await else {
            return;
        };
        room.forget();
        for message in &batch {
            if sink.feed(message.clone()).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

/// Clients by their numbers and targets, several at once: some servers take their time.
async fn connect_all(server: &Server, who: Vec<(u32, Vec<u32>)>) -> Result<Vec<Client>, Failed> {
    let clients = stream::iter(who)
        .map(async |(n, targets)| Client::connect(server.system, &server.url, n, &targets).await);
    clients.buffered(AT_ONCE).try_collect().await
}

/// Microseconds of questions and answers between two clients, sorted.
pub(crate) async fn round_trips(server: &Server, count: usize) -> Result<Vec<f64>, Failed> {
    const SIZE: usize = 64;
    let (a, b) = (900_000, 900_001);
    // A route leads both ways; elsewhere the one who answers names whom.
    let back: &[u32] = if server.system == System::Peerage {
        &[]
    } else {
        &[a]
    };
    let mut answering = Client::connect(server.system, &server.url, b, back).await?;
    let mut asking = Client::connect(server.system, &server.url, a, &[b]).await?;
    let answer = match server.system {
        System::Peerage => asking.batch(&[b], SIZE, 1),
        _ => answering.batch(&[a], SIZE, 1),
    };
    let question = asking.batch(&[b], SIZE, 1);
    let size = |bytes: usize| bytes >= SIZE;
    let answering = tokio::spawn(async move {
        loop {
            let Ok(bytes) = answering.next().await else {
                return;
            };
            if size(bytes.len()) {
                for message in &answer {
                    if answering.socket.send(message.clone()).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        for message in &question {
            asking.socket.send(message.clone()).await?;
        }
        while !size(asking.next().await?.len()) {}
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    answering.abort();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Microseconds of questions and answers over a socket without anybody in between, sorted: the physical
/// limit, twice of which nobody who forwards can beat.
pub(crate) async fn tcp_round_trips(count: usize) -> Result<Vec<f64>, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // The other end has a processor of its own, as a server has.
    let answering = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(async {
            let mut socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let mut message = [0; 64];
            while socket.read_exact(&mut message).await.is_ok() {
                socket.write_all(&message).await?;
            }
            std::io::Result::Ok(())
        })
    });
    let (mut socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let mut times = Vec::with_capacity(count);
    let mut message = [7; 64];
    for _ in 0..count {
        let start = Instant::now();
        socket.write_all(&message).await?;
        socket.read_exact(&mut message).await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    drop(socket);
    answering.join().map_err(|_| "the other end failed")??;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The value below which this share of sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
