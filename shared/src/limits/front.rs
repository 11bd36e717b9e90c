//! What those may do who join through a front: raw programs and nodes of KAI by ENet, small programs, adapters,
//! and clients of `/events`.

use core::time::Duration;

/// Connections at once that others have with one server of ENet.
pub const RAW_CONNECTIONS_MAX: usize = 1024;
/// How long who opens a stream for one may take to say so.
pub const RAW_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client's last words may take before its node leaves.
pub const RAW_LINGER: Duration = Duration::from_secs(5);

/// Levels of objects in one of KAI's: it writes nothing below.
pub const KAI_DEPTH_MAX: usize = 10;
/// Objects in one of KAI's.
pub const KAI_ITEMS_MAX: usize = 65_536;
/// Arguments of a call by a node of KAI.
pub const KAI_ARGUMENTS_MAX: usize = 64;
/// Bytes of a message to or from a node of KAI.
pub const KAI_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// What a node of KAI may have asked for, or been asked for, that is not answered.
pub const KAI_PENDING_MAX: usize = 1024;
/// Agents of a node of KAI that others have asked for by handle; beyond, the one used longest ago is forgotten.
pub const KAI_AGENTS_MAX: usize = 1024;
/// Agents of a node of KAI that have a name.
pub const KAI_OFFERS_MAX: usize = 1024;
/// How long a node of KAI may take to answer.
pub const KAI_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a message to or from a small program.
pub const PROGRAM_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Agents and operations that a small program offers.
pub const PROGRAM_OFFERS_MAX: usize = 64;
/// Requests of a small program, subscriptions among them, that have not ended; and those of others to it.
pub const PROGRAM_REQUESTS_MAX: usize = 64;
/// Methods, properties and events of an agent of a program.
pub const PROGRAM_NAMES_MAX: usize = 64;
/// Bytes of the values that the properties of such an agent have.
pub const PROGRAM_VALUES_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that wait to be said to a program of ENet.
pub const PROGRAM_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a program may take to answer a call; what takes longer is an operation.
pub const PROGRAM_ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a program that has come back waits until its node of before has gone.
pub const PROGRAM_RETURN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a program may take to say who it is.
pub const PROGRAM_HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a text that a program has for the log.
pub const PROGRAM_LOG_BYTES_MAX: usize = 1024;

/// Adapters that a node speaks for, linked or not…
pub const ADAPTERS_MAX: usize = 256;
/// …and connections that may become some, those that wait for their node among them.
pub const ADAPTER_CONNECTIONS_MAX: usize = 512;
/// Interfaces of an adapter.
pub const ADAPTER_INTERFACES_MAX: usize = 16;
/// Bytes of the schema of an interface.
pub const ADAPTER_SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How deep a value may be nested that a schema describes.
pub const ADAPTER_DEPTH_MAX: usize = 32;
/// Bytes of a frame on a serial line.
pub const SERIAL_FRAME_BYTES_MAX: usize = 64 * 1024;
/// An adapter that has been silent this long is asked for a sign of life…
pub const ADAPTER_KEEPALIVE: Duration = Duration::from_secs(1);
/// …and is lost after this.
pub const ADAPTER_SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long an adapter waits for `welcome`, or for one more `waiting`, before it says hello anew.
pub const ADAPTER_WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the node of an adapter that is not linked stays, unless the configuration says otherwise.
pub const ADAPTER_KEPT: Duration = Duration::from_secs(120);
/// How long an adapter waits until it calls again, at first…
pub const ADAPTER_RETRY_MIN: Duration = Duration::from_millis(50);
/// …and at the most.
pub const ADAPTER_RETRY_MAX: Duration = Duration::from_secs(2);
/// How long a supervised adapter that is told to end may take.
pub const ADAPTER_STOP_GRACE: Duration = Duration::from_secs(5);
/// How often it is looked which serial devices are there.
pub const HOTPLUG_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes of a message at `/events`: a body in base64, and the head before it.
pub const EVENTS_MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a body there.
pub const EVENTS_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Headers of a message there.
pub const EVENTS_HEADERS_MAX: usize = 128;
/// Bytes of all of them.
pub const EVENTS_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Messages of a client there that are read in a second; more wait.
pub const EVENTS_MESSAGES_PER_SECOND: usize = 2000;
/// Requests of a client there that are not answered; and those of others to it.
pub const EVENTS_REQUESTS_MAX: usize = 256;
/// Subscriptions of a client there.
pub const EVENTS_SUBSCRIPTIONS_MAX: usize = 512;
/// Futures that a relay knows; those that have ended make way, the oldest first.
pub const EVENTS_FUTURES_MAX: usize = 4096;
/// Those of one client.
pub const EVENTS_FUTURES_OF_CLIENT_MAX: usize = 256;
/// Events of a future that are kept.
pub const EVENTS_TRACE_MAX: usize = 32;
/// Pages of which is known where they were sent last.
pub const EVENTS_SENT_MAX: usize = 1024;
/// How long a request of a client there may take, its wait for its turn included, unless it is told otherwise.
pub const EVENTS_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// After how much silence a client there is asked whether it is still there.
pub const EVENTS_KEEPALIVE: Duration = Duration::from_secs(20);
/// After how much silence, though asked, it counts as gone.
pub const EVENTS_SILENCE_MAX: Duration = Duration::from_secs(60);

const _: () =
    assert!(EVENTS_BODY_BYTES_MAX / 3 * 4 + EVENTS_HEAD_BYTES_MAX < EVENTS_MESSAGE_BYTES_MAX);
