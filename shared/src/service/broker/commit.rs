//! What is published, on its way through the store: as much at once as has come while the last was written.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::Arc;

use super::publisher::Desk;
use super::server::{Broker, Inner, now_ms};
use super::state::{Planned, Publish, Touched};
use super::store::Row;
use super::wire::{Tell, message};
use crate::error::{Code, Failure};
use crate::limits::{BROKER_TURN_MESSAGES, HISTORY_SWEEP, STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MAX};
use crate::log::event;

impl Broker {
    /// Takes a message that was published; waits, if there is no room for it.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.pending.len() < STORE_QUEUE_MAX && inner.pending_bytes < STORE_QUEUE_BYTES_MAX {
            return Poll::Ready(());
        }
        inner.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn publish(&self, publish: Publish, desk: &Arc<Desk>) {
        let mut inner = self.lock();
        if self.0.store.is_none() {
            let planned = inner.state.plan(&publish, now_ms(&self.0.node));
            inner.state.kept.trimmed.clear();
            return inner.publish(planned, desk);
        }
        inner.pending_bytes += publish.value.len() + publish.attributes.len();
        inner.pending.push_back((publish, Arc::clone(desk)));
        if let Some(committer) = inner.committer.take() {
            committer.wake();
        }
    }

    /// Stores what was published, as much at once as has come meanwhile, and then tells of it.
    pub(super) async fn commit(self) {
        let Some(store) = self.0.store.clone() else {
            return core::future::pending().await;
        };
        loop {
            let batch = poll_fn(|cx| {
                let mut inner = self.lock();
                if inner.pending.is_empty() {
                    inner.committer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                inner.pending_bytes = 0;
                inner.waiting.drain(..).for_each(Waker::wake);
                Poll::Ready(std::mem::take(&mut inner.pending))
            })
            .await;
            let (planned, rows) = self.plan(&batch, store.unix_ms());
            let stored = match rows.is_empty() {
                true => Ok(()),
                false => store.write(rows).await,
            };
            if let Err(reason) = &stored {
                event!(
                    ERROR,
                    ERROR,
                    self.0.node.id(),
                    reason,
                    "the broker's store fails"
                );
            }
            for (n, ((publish, desk), planned)) in batch.iter().zip(planned).enumerate() {
                if n > 0 && n % BROKER_TURN_MESSAGES == 0 {
                    others_turn().await;
                }
                let mut inner = self.lock();
                let planned = match &stored {
                    Ok(()) => planned,
                    Err(_) => {
                        if let Ok(Planned::New(message, _)) = &planned {
                            inner.state.withdraw(publish, message);
                        }
                        planned.and(Err(Code::Refused.because("the broker's store fails")))
                    }
                };
                inner.publish(planned, desk);
            }
        }
    }

    fn plan(
        &self,
        batch: &VecDeque<(Publish, Arc<Desk>)>,
        unix_ms: i64,
    ) -> (Vec<Result<Planned, Failure>>, Vec<Row>) {
        let mut inner = self.lock();
        let now_ms = now_ms(&self.0.node);
        let planned = batch
            .iter()
            .map(|(publish, _)| inner.state.plan(publish, now_ms));
        let planned: Vec<_> = planned.collect();
        let new = batch.iter().zip(&planned);
        let new = new.filter_map(|((publish, _), planned)| Some((publish, planned.as_ref().ok()?)));
        let rows = inner.state.rows(new, now_ms - unix_ms);
        (planned, rows)
    }

    /// Drops what has grown too old, for as long as there is anything.
    pub(super) async fn sweep(self) {
        loop {
            poll_fn(|cx| {
                let mut inner = self.lock();
                if inner.state.ages() {
                    return Poll::Ready(());
                }
                inner.sweeper = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            self.0.node.sleep(HISTORY_SWEEP).await;
            let now_ms = now_ms(&self.0.node);
            let mut inner = self.lock();
            inner.state.sweep(now_ms);
            if self.0.store.is_none() {
                inner.state.kept.trimmed.clear();
            }
        }
    }
}

/// Lets others do something first.
async fn others_turn() {
    let mut had = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Inner {
    /// Tells of a message to its subscribers, and what has become of it to its publisher.
    fn publish(&mut self, planned: Result<Planned, Failure>, desk: &Desk) {
        let epoch = self.state.epoch();
        let tell = match planned {
            Ok(Planned::New(message, _)) => {
                let mut touched = Touched::new();
                self.state.apply(&message, &mut touched);
                self.touch(&touched);
                let offset = Some(message.offset);
                Tell::Published {
                    offset,
                    epoch,
                    known: false,
                }
            }
            Ok(Planned::Known) => Tell::Published {
                offset: None,
                epoch,
                known: true,
            },
            Err(failure) => Tell::Failed(failure),
        };
        desk.answer(message(&tell, &[]));
    }
}
