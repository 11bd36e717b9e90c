//! How long nothing has moved of a request: a large upload may take its time, a node that is silent may not.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use peerage::http::Body;
use tokio::time::{Instant, sleep_until};

/// When something last moved.
#[derive(Clone)]
pub(super) struct Pace(Arc<Moves>);

struct Moves {
    last: Mutex<Instant>,
    /// The caller's body has ended before it was whole.
    failed: AtomicBool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Moves {
            last: Mutex::new(Instant::now()),
            failed: AtomicBool::new(false),
        }))
    }

    /// The same body, each piece of which counts as a movement.
    pub(super) fn follow(&self, body: axum::body::Body) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Followed {
            body,
            pace: self.clone(),
        })
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn silent_for(&self, timeout: Duration) {
        loop {
            let due = self.last() + timeout;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Whether it is for the caller that there is no response.
    pub(super) fn has_failed(&self) -> bool {
        self.0.failed.load(Ordering::Acquire)
    }

    fn last(&self) -> Instant {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

struct Followed {
    body: axum::body::Body,
    pace: Pace,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.pace.moved();
        }
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.pace.0.failed.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
