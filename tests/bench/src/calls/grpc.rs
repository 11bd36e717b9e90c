//! tonic: what its generator would write for a service of one method, by hand, as it needs a program that
//! is not on every machine.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::client;
use tonic::codegen::Service;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request, Response};
use tonic::server::{self, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic_prost::ProstCodec;

use super::Adder;
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

impl Service<Request<Body>> for Own {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        async move {
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
