//! A wire that remembers: a TCP proxy before a relay, which keeps all that passes in both directions.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The proxy, and what it has seen.
pub struct Recorder {
    /// Address and port, to be used in place of the relay's.
    pub address: String,
    tapes: Tapes,
}

type Tapes = Arc<Mutex<Vec<Tape>>>;

/// One direction of one connection, and who reads it.
struct Tape {
    reader: Role,
    bytes: Vec<u8>,
}

impl Recorder {
    /// Binds an address, so that a relay can be told of it before the proxy knows the relay.
    pub async fn bind() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            address: listener.local_addr().unwrap().to_string(),
            tapes: Tapes::default(),
        };
        (recorder, listener)
    }

    /// Passes on what comes to the relay, from now on.
    pub fn pass_on(&self, listener: TcpListener, relay: String) {
        let tapes = Arc::clone(&self.tapes);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&relay).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(copy(near_in, far_out, Role::Server, Arc::clone(&tapes)));
                tokio::spawn(copy(far_in, near_out, Role::Client, Arc::clone(&tapes)));
            }
        });
    }

    /// The content of all WebSocket messages so far, unmasked, each connection and direction by itself.
    pub fn messages(&self) -> Vec<u8> {
        let tapes = self.tapes.lock().unwrap();
        let sockets = tapes.iter().filter_map(|tape| {
            let end = tape.bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
            let (head, rest) = tape.bytes.split_at(end + 4);
            let head = String::from_utf8_lossy(head).to_lowercase();
            head.contains("upgrade: websocket")
                .then(|| content(tape.reader, rest))
        });
        sockets.collect::<Vec<_>>().concat()
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, reader: Role, tapes: Tapes) {
    let index = {
        let mut tapes = tapes.lock().unwrap();
        tapes.push(Tape {
            reader,
            bytes: Vec::new(),
        });
        tapes.len() - 1
    };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        tapes.lock().unwrap()[index].bytes.extend(&buffer[..len]);
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
    // The other side may have closed already.
    let _ = to.shutdown().await;
}

fn content(reader: Role, bytes: &[u8]) -> Vec<u8> {
    let mut socket = WebSocket::from_raw_socket(Replay(Cursor::new(bytes)), reader, None);
    let mut content = Vec::new();
    while let Ok(message) = socket.read() {
        content.extend(message.into_data());
    }
    content
}

/// Reads a tape; what the reader would answer goes nowhere.
struct Replay<'a>(Cursor<&'a [u8]>);

impl Read for Replay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.0, buffer)
    }
}

impl Write for Replay<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
