//! tarpc as its manual has it: bincode over TCP, every request a task; but small frames do not wait.

use futures_util::StreamExt;
use tarpc::context::{self, Context};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, serde_transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::Adder;
use crate::client::Failed;

#[tarpc::service]
pub(super) trait Sums {
    async fn add(a: u64, b: u64) -> u64;
}

#[derive(Clone)]
struct Own;

impl Sums for Own {
    async fn add(self, _: Context, a: u64, b: u64) -> u64 {
        a + b
    }
}

pub(super) async fn serve() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let framed = Framed::new(socket, LengthDelimitedCodec::new());
            let transport = serde_transport::new(framed, Bincode::default());
            let requests = BaseChannel::with_defaults(transport).execute(Own.serve());
            tokio::spawn(requests.for_each(async |response| drop(tokio::spawn(response))));
        }
    });
    Ok(address)
}

pub(super) async fn connect(address: &str) -> Result<SumsClient, Failed> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let framed = Framed::new(socket, LengthDelimitedCodec::new());
    let transport = serde_transport::new(framed, Bincode::default());
    Ok(SumsClient::new(client::Config::default(), transport).spawn())
}

impl Adder for SumsClient {
    async fn add(&self, a: u64, b: u64) -> Result<u64, Failed> {
        Ok(Self::add(self, context::current(), a, b).await?)
    }
}
