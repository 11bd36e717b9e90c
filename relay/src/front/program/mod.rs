//! What small programs and adapters say, and what becomes of it: words in CBOR, by whatever carries them.
//! `docs/protocol.md` has the messages.

mod agent;
mod asking;
mod asks;
mod desk;
mod log;
mod requests;
mod session;
pub(crate) mod wire;

pub(crate) use desk::{Desk, caller};
pub(crate) use log::log;
pub(crate) use requests::Requests;
pub(crate) use session::Session;
