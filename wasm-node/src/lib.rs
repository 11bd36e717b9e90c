//! The node in a browser tab: the core with a tab's WebSocket, WebRTC, clock and random numbers, and
//! the surface that JavaScript sees. The same crate is the npm package and a Rust library.

mod broker;
mod commands;
mod connections;
mod direct;
mod driver;
mod error;
mod http;
mod identity;
mod lane;
pub mod log;
mod navigate;
mod node;
mod objects;
mod operations;
mod options;
mod page;
mod platform;
mod rpc;
mod scripts;
mod streams;
mod trace;
mod value;
mod websocket;

pub use node::Node;
pub use operations::{Operation, Work};
pub use rpc::{Agent, Interest};
pub use value::{decode, encode};
