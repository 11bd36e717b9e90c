//! Who is subscribed, and who comes and goes.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_util::Stream;

use super::client::answer;
use super::line::Line;
use super::way::Way;
use super::wire::{Ask, Member, Tell, message};
use crate::error::{Code, Failure};
use crate::limits::SUBSCRIPTIONS_MAX;

/// Somebody has subscribed, or has ended a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Is here from now on.
    Joined(Member),
    /// Is here no more.
    Left(Member),
}

/// Who is subscribed to something: who was there at first, and a stream of those who come and go since. It ends
/// with a failure when the broker is lost, or the zone has another.
pub struct Presence {
    line: Line,
    way: Way,
    members: Vec<Member>,
    over: bool,
}

impl Presence {
    pub(super) async fn begin(line: Line, way: Way, filter: &str) -> Result<Self, Failure> {
        let follow = true;
        line.send(message(&Ask::Presence { filter, follow }, &[]))
            .await?;
        let mut members = Vec::new();
        loop {
            match answer(way.within(line.recv()).await?)? {
                Tell::Present(some) if some.is_empty() => break,
                Tell::Present(some) if members.len() <= SUBSCRIPTIONS_MAX => members.extend(some),
                _ => return Err(Code::BadMessage.because("expected a list of who is here")),
            }
        }
        Ok(Self {
            line,
            way,
            members,
            over: false,
        })
    }

    /// Those who were there when this began, in order; the changes that the stream tells come after.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

impl Stream for Presence {
    type Item = Result<Change, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let told = match self.line.poll_recv(cx) {
            Poll::Pending => Err(ready!(self.way.poll_turned(cx))),
            Poll::Ready(told) => told.and_then(answer),
        };
        let change = match told {
            Ok(Tell::Joined(member)) => Ok(Change::Joined(member)),
            Ok(Tell::Left(member)) => Ok(Change::Left(member)),
            Ok(_) => Err(Code::BadMessage.because("expected who comes and goes")),
            Err(failure) => Err(failure),
        };
        self.over = change.is_err();
        Poll::Ready(Some(change))
    }
}
