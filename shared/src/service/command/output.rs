//! What a command writes, until somebody takes it.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::OUTPUT_BYTES_MAX;

/// Where a command writes. Clones are the same. What a caller does not take in time is dropped
/// beyond a limit, and the caller is told how much.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    text: String,
    dropped_bytes: usize,
    reader: Option<Waker>,
}

impl Output {
    /// Writes.
    pub fn write(&self, text: &str) {
        let mut written = self.lock();
        if written.text.len() + text.len() > OUTPUT_BYTES_MAX {
            written.dropped_bytes += text.len();
        } else {
            written.text += text;
        }
        if let Some(reader) = written.reader.take() {
            reader.wake();
        }
    }

    /// What is left, with a word on what was dropped.
    pub(super) fn take_all(&self) -> String {
        let mut written = self.lock();
        let mut text = core::mem::take(&mut written.text);
        let dropped = core::mem::take(&mut written.dropped_bytes);
        if dropped > 0 {
            text += &format!("\n[{dropped} bytes of output were dropped]");
        }
        text
    }

    /// Waits until something is written, and takes it.
    pub(super) async fn next(&self) -> String {
        poll_fn(|cx| {
            let mut written = self.lock();
            if written.text.is_empty() {
                written.reader = Some(cx.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(core::mem::take(&mut written.text))
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_nobody_takes_is_dropped_beyond_a_limit_and_counted() {
        let out = Output::default();
        out.write(&"x".repeat(OUTPUT_BYTES_MAX));
        out.write("lost");
        let text = out.take_all();
        assert!(text.ends_with("x\n[4 bytes of output were dropped]"));
        assert_eq!(out.take_all(), "");
    }
}
