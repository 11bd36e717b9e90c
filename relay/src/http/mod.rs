//! HTTP of a native node: a tower service answers what other nodes ask.

pub(crate) mod upgrade;

use std::error::Error as StdError;
use std::future::poll_fn;

use bytes::Bytes;
use http::{Request, Response};
use peerage::http::{Answering, Body, Handler, is_websocket};
use peerage::{Code, Failure, NodeId};
use tower_service::Service;

/// Who asks: an extension of each request that a node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub NodeId);

/// A tower service, such as an axum `Router`, as a handler of requests.
pub(crate) struct Served<S>(pub(crate) S);

impl<S, B> Handler for Served<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn handle(&self, caller: NodeId, mut request: Request<Body>) -> Answering {
        let mut service = self.0.clone();
        request.extensions_mut().insert(Caller(caller));
        if is_websocket(request.headers()) {
            return Box::pin(upgrade::serve(service, request));
        }
        Box::pin(async move {
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(failed)?;
            let response = service.call(request).await.map_err(failed)?;
            Ok(response.map(Body::new))
        })
    }
}

/// What a service says of its errors is for its own log.
fn failed<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> Failure {
    let error = error.into();
    tracing::debug!(target: peerage::log::MESSAGE, %error, "a service of HTTP failed");
    Code::Refused.because("the service failed")
}
