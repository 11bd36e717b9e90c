//! What is to be said to a program, in order and within bounds.

use std::sync::Arc;

use bytes::Bytes;
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{ENET_ROOM_BYTES, PROGRAM_QUEUE_BYTES_MAX};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

/// Who takes messages to a program.
pub(crate) trait Mouth: Send + 'static {
    /// Says one, once there is room for it. `false` if the program has gone.
    fn say(&mut self, message: Bytes) -> impl Future<Output = bool> + Send;
}

/// What an empty message is held to take.
const OVERHEAD_BYTES: usize = 64;

/// Where what is to be said is left. Clones are the same.
#[derive(Clone)]
pub(crate) struct Out {
    messages: mpsc::UnboundedSender<Letter>,
    /// Bytes that may wait.
    room: Arc<Semaphore>,
}

/// What is to be said.
pub(crate) struct Unsaid {
    messages: mpsc::UnboundedReceiver<Letter>,
    room: Arc<Semaphore>,
    /// What the last message takes, until the next is asked for.
    taken: usize,
}

enum Letter {
    Message(Bytes),
    End,
}

/// Both sides.
pub(crate) fn out() -> (Out, Unsaid) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(PROGRAM_QUEUE_BYTES_MAX));
    let unsaid = Unsaid {
        messages: receiver,
        room: Arc::clone(&room),
        taken: 0,
    };
    let messages = sender;
    (Out { messages, room }, unsaid)
}

impl Out {
    /// Says something after all that was said before, if there is room for it now.
    ///
    /// # Errors
    /// `overloaded` if there is none; `gone`.
    pub(crate) fn push(&self, message: Bytes) -> Result<(), Failure> {
        let Ok(room) = self.room.try_acquire_many(cost(&message)) else {
            return Err(match self.room.is_closed() {
                true => gone(),
                false => Code::Overloaded.because("too much waits to be said to the program"),
            });
        };
        room.forget();
        self.leave(Letter::Message(message))
    }

    /// As [`Out::push`], once there is room.
    ///
    /// # Errors
    /// `gone`.
    pub(crate) async fn put(&self, message: Bytes) -> Result<(), Failure> {
        self.place(&message).await?.say(message);
        Ok(())
    }

    /// Room for a message, once there is any.
    ///
    /// # Errors
    /// `gone`.
    pub(crate) async fn place(&self, message: &Bytes) -> Result<Place<'_>, Failure> {
        let room = self.room.acquire_many(cost(message)).await;
        let room = room.map_err(|_| gone())?;
        Ok(Place { out: self, room })
    }

    /// Nothing more is to be said.
    pub(crate) fn finish(&self) {
        // Who has gone is said nothing anyway.
        let _ = self.leave(Letter::End);
    }

    fn leave(&self, letter: Letter) -> Result<(), Failure> {
        self.messages.send(letter).map_err(|_| gone())
    }
}

/// Room for a message, given back if nothing is said.
pub(crate) struct Place<'a> {
    out: &'a Out,
    room: SemaphorePermit<'a>,
}

impl Place<'_> {
    /// Says the message.
    pub(crate) fn say(self, message: Bytes) {
        self.room.forget();
        // Who has gone is said nothing.
        let _ = self.out.leave(Letter::Message(message));
    }
}

impl Unsaid {
    /// Says all of it to a program, until the end, or until the program has gone.
    pub(crate) async fn say(mut self, mut by: impl Mouth) {
        while let Some(message) = self.next().await {
            if !by.say(message).await {
                break;
            }
        }
    }

    /// What is to be said next, the one before it having been said; `None` at the end. Once this is dropped, the program
    /// counts as gone.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.room.add_permits(std::mem::take(&mut self.taken));
        match self.messages.recv().await? {
            Letter::Message(message) => {
                self.taken = cost(&message) as usize;
                Some(message)
            }
            Letter::End => None,
        }
    }
}

impl Drop for Unsaid {
    fn drop(&mut self) {
        self.room.close();
    }
}

fn cost(message: &Bytes) -> u32 {
    // A message has a limit of its own, far below this.
    let bytes = message.len().min(PROGRAM_QUEUE_BYTES_MAX - OVERHEAD_BYTES);
    (bytes + OVERHEAD_BYTES) as u32
}

fn gone() -> Failure {
    Code::Gone.because("the program has gone")
}

const _: () = assert!(PROGRAM_QUEUE_BYTES_MAX > 2 * ENET_ROOM_BYTES);
