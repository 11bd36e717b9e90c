//! tonic: what its generator would write for a service of one method, by hand, as it needs a program that
//! is not on every machine.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client;
use tonic::codegen::Service;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic::server::{self, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic_prost::ProstCodec;

use super::Adder;
use super::progress::told;
use crate::client::Failed;

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(uint64, tag = "1")]
    a: u64,
    #[prost(uint64, tag = "2")]
    b: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sum {
    #[prost(uint64, tag = "1")]
    sum: u64,
}

/// What an operation tells of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Told {
    #[prost(double, tag = "1")]
    fraction: f64,
    #[prost(double, tag = "2")]
    remaining_ms: f64,
    #[prost(string, tag = "3")]
    note: String,
}

#[derive(Clone)]
struct Own;

impl NamedService for Own {
    const NAME: &'static str = "bench.Sums";
}

impl UnaryService<Pair> for Own {
    type Response = Sum;
    type Future = Ready<Result<tonic::Response<Sum>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Pair>) -> Self::Future {
        let Pair { a, b } = request.into_inner();
        ready(Ok(tonic::Response::new(Sum { sum: a + b })))
    }
}

type Telling = BoxStream<'static, Result<Told, tonic::Status>>;

impl ServerStreamingService<Pair> for Own {
    type Response = Told;
    type ResponseStream = Telling;
    type Future = Ready<Result<tonic::Response<Telling>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<Pair>) -> Self::Future {
        let telling = stream::iter(1..).map(|number| {
            let progress = told(number);
            Ok(Told {
                fraction: progress.fraction.unwrap_or_default(),
                remaining_ms: progress.remaining.unwrap_or_default().as_secs_f64() * 1000.0,
                note: progress.note.unwrap_or_default(),
            })
        });
        ready(Ok(tonic::Response::new(telling.boxed())))
    }
}

impl Service<Request<Body>> for Own {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        async move {
            if request.uri().path() == WATCH {
                let mut grpc = server::Grpc::new(ProstCodec::<Told, Pair>::default());
                return Ok(grpc.server_streaming(Self, request).await);
            }
            let mut grpc = server::Grpc::new(ProstCodec::<Sum, Pair>::default());
            Ok(grpc.unary(Self, request).await)
        }
        .boxed()
    }
}

pub(super) async fn serve() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // As many at a time as are measured.
    let mut server = Server::builder().max_concurrent_streams(1024);
    tokio::spawn(server.add_service(Own).serve_with_incoming(incoming));
    Ok(address)
}

#[derive(Clone)]
pub(super) struct Grpc(client::Grpc<Channel>);

pub(super) async fn connect(address: &str) -> Result<Grpc, Failed> {
    let channel = Channel::from_shared(format!("http://{address}"))?;
    Ok(Grpc(client::Grpc::new(channel.connect().await?)))
}

const WATCH: &str = "/bench.Sums/Watch";

impl Grpc {
    /// What an operation tells of itself, without an end.
    pub(super) async fn watch(mut self) -> Result<tonic::Streaming<Told>, Failed> {
        self.0.ready().await?;
        let codec = ProstCodec::<Pair, Told>::default();
        let request = tonic::Request::new(Pair { a: 0, b: 0 });
        let path = PathAndQuery::from_static(WATCH);
        let telling = self.0.server_streaming(request, path, codec).await?;
        Ok(telling.into_inner())
    }
}

impl Adder for Grpc {
    async fn add(&self, a: u64, b: u64) -> Result<u64, Failed> {
        let mut grpc = self.0.clone();
        grpc.ready().await?;
        let path = PathAndQuery::from_static("/bench.Sums/Add");
        let codec = ProstCodec::<Pair, Sum>::default();
        let request = tonic::Request::new(Pair { a, b });
        Ok(grpc.unary(request, path, codec).await?.into_inner().sum)
    }
}
