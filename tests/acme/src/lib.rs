//! A protocol of one's own on Peerage, by a third party: Acme's robots are moved with `acme/robot/2`,
//! which has binary frames and telemetry, and older ones with the lines of `acme/robot/1`. Nothing in
//! Peerage knows of it, and it needs nothing but Peerage's public interface:
//!
//! - [`peerage::Node::open_any`] opens a stream of the newest version that the other node speaks, in one
//!   round trip; [`Stream::protocol`](peerage::node::Stream::protocol) tells which ([`Remote`]);
//! - [`peerage::Node::listen`] answers streams, a version each ([`Robot`]);
//! - [`peerage::Node::datagrams`] carries what is of no use when it is late ([`Telemetry`]);
//! - the frames are the protocol's own: a message of a stream, or a datagram, is a frame ([`wire`]).
//!
//! Streams are reliable, in order and of whole messages, so frames need no lengths and no numbers to be
//! sent again by; a path that breaks is not seen here. The crate runs wherever a node does, and names no
//! runtime: waits are futures, and time is [`peerage::Node::sleep`].

mod remote;
mod robot;
pub mod wire;

pub use remote::{Remote, RobotError, Telemetry};
pub use robot::Robot;
pub use wire::Point;

/// Binary frames, stops, telemetry.
pub const V2: &str = "acme/robot/2";
/// Lines of text: moves alone.
pub const V1: &str = "acme/robot/1";
