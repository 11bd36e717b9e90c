//! The floor: numbered questions and answers over TCP, by hand. What waits is written together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::Adder;
use crate::client::Failed;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<u64>>>>;

#[derive(Clone)]
pub(super) struct Tcp {
    questions: mpsc::UnboundedSender<Bytes>,
    waiting: Waiting,
    last: Arc<AtomicU64>,
}

pub(super) async fn serve() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket));
        }
    });
    Ok(address)
}

async fn answer(socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut sink, stream) = Framed::new(socket, LengthDelimitedCodec::new()).split();
    let mut questions = stream.ready_chunks(256);
    while let Some(chunk) = questions.next().await {
        for question in chunk {
            let mut question = question?;
            let (id, a, b) = (question.get_u64(), question.get_u64(), question.get_u64());
            sink.feed(packed(&[id, a + b])).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

pub(super) async fn connect(address: &str) -> Result<Tcp, Failed> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (mut sink, mut stream) = Framed::new(socket, LengthDelimitedCodec::new()).split();
    let (questions, mut asked) = mpsc::unbounded_channel::<Bytes>();
    let waiting = Waiting::default();
    let heard = Arc::clone(&waiting);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, 256).await > 0 {
            for question in batch.drain(..) {
                sink.feed(question).await?;
            }
            sink.flush().await?;
        }
        std::io::Result::Ok(())
    });
    tokio::spawn(async move {
        while let Some(Ok(mut answer)) = stream.next().await {
            let (id, sum) = (answer.get_u64(), answer.get_u64());
            if let Some(waiting) = lock(&heard).remove(&id) {
                let _ = waiting.send(sum);
            }
        }
    });
    Ok(Tcp {
        questions,
        waiting,
        last: Arc::default(),
    })
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<u64>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn packed(numbers: &[u64]) -> Bytes {
    let mut out = BytesMut::with_capacity(numbers.len() * 8);
    numbers.iter().for_each(|number| out.put_u64(*number));
    out.freeze()
}

impl Adder for Tcp {
    async fn add(&self, a: u64, b: u64) -> Result<u64, Failed> {
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, sum) = oneshot::channel();
        lock(&self.waiting).insert(id, sender);
        self.questions.send(packed(&[id, a, b]))?;
        Ok(sum.await?)
    }
}
