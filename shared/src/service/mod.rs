//! Services: protocols on streams. The built-in ones are registered exactly as a user's own would be.

pub mod broker;
pub mod command;
pub mod http;
pub mod inspect;
pub mod lane;
mod millis;
pub mod operation;
#[cfg(test)]
mod own;
pub mod punch;
pub mod rpc;
pub mod signal;
pub mod time;
#[cfg(test)]
mod told;
pub mod traces;
#[cfg(test)]
mod zone;
