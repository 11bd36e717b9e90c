//! A node: [`Machine`] joins the layers without doing any I/O, [`Node`] is the handle that programs
//! hold, and a [`Driver`] stands between the two and a platform's sockets and clock.

mod connection;
mod datagrams;
mod driver;
mod events;
mod handle;
mod machine;
mod stream;
mod tap;
mod wait;

pub use crate::stream::flow::Read;
pub use connection::{
    Change, Connection, ConnectionEvent, ConnectionState, Medium, without_secrets,
};
pub use datagrams::Datagrams;
pub use driver::{Action, Driver, Input};
pub use events::{Event, PathKind, Peer, Pong, State, StreamKey};
pub use handle::{Events, Listener, Node};
pub use machine::{Backlog, Load, Machine, Output, Resolution, Traffic};
pub use stream::Stream;
pub use tap::{Captured, Direction, Tap, What};
