//! Every limit of the core in one room, with its unit; those of fronts are in `front.rs`. What is refused or dropped beyond a limit is
//! said where the limit is enforced.

mod front;
mod trace;

use core::time::Duration;

pub use front::*;
pub use trace::*;

/// Bytes of application data in one fragment: what fits a data channel of any browser with room for
/// headers, and small enough that an urgent message waits for little.
pub const FRAGMENT_BYTES_MAX: usize = 12 * 1024;
/// Bytes of one message on a stream, all its fragments together.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one datagram.
pub const DATAGRAM_BYTES_MAX: usize = 8 * 1024;
/// Datagrams of one session that wait to leave, or of one reader that wait to be read; the oldest is
/// dropped beyond, and counted.
pub const DATAGRAMS_MAX: usize = 256;
/// Bytes of one frame on a link.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one packet, the unit that a link carries: one or more frames.
pub const PACKET_BYTES_MAX: usize = 256 * 1024;
/// A packet is closed when it has grown to this many bytes; more frames go into the next one.
pub const PACKET_BYTES_FULL: usize = 16 * 1024;

/// Bytes that wait to leave on a link before sessions pause, so that what is urgent waits for little.
pub const LINK_QUEUE_BYTES_PAUSE: usize = 64 * 1024;
/// Bytes that leave on a link as they came; what is passed on beyond leaves in turn, route by route.
pub const LINK_QUEUE_BYTES_FRONT: usize = 32 * 1024;
/// Bytes of one route that wait to leave on a link before its records are dropped; sessions send them
/// again.
pub const LINK_ROUTE_BYTES_MAX: usize = 512 * 1024;
/// Bytes of all routes that wait to leave on a link before their records are dropped.
pub const LINK_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that wait to leave on a link before it is closed as overloaded: what the node itself has to
/// say does not fit either.
pub const LINK_QUEUE_BYTES_CLOSE: usize = 4 * 1024 * 1024;

/// Records that one session keeps until they are acknowledged.
pub const UNACKNOWLEDGED_RECORDS_MAX: usize = 4096;
/// Bytes of records that one session keeps until they are acknowledged, unless it is told to keep less.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 1024 * 1024;
/// The least that a session may be told to keep: some full records.
pub const RESUME_WINDOW_BYTES_MIN: usize = 64 * 1024;
/// The part of those that bulk may not use, so that what is urgent need not wait for an acknowledgement:
/// one in so many.
pub const UNACKNOWLEDGED_RESERVE: usize = 8;
/// Bytes that a stream's writer may send before its reader has said anything.
pub const STREAM_CREDIT_FIRST_BYTES: u64 = 32 * 1024;
/// Bytes that a stream's reader grants its writer while the session holds little: what waits unread.
pub const STREAM_CREDIT_BYTES: u64 = 256 * 1024;
/// Bytes that wait unread in a session, or may come at any time, before streams are granted no more
/// than at first.
pub const SESSION_CREDIT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that a session's streams hold unread or incomplete in all; a stream that brings more is reset.
pub const HELD_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bytes that a stream's writer may queue before `send` waits.
pub const STREAM_QUEUE_BYTES: usize = 256 * 1024;
/// Streams that one side may have open in a session.
pub const STREAMS_MAX: usize = 1024;
/// Streams beyond those that are refused and wait to tell so; the session ends with one more.
pub const REFUSED_STREAMS_MAX: usize = STREAMS_MAX;
/// Incoming streams that wait to be accepted by one service.
pub const BACKLOG_STREAMS_MAX: usize = 1024;
/// Bytes of a protocol id.
pub const PROTOCOL_BYTES_MAX: usize = 255;
/// Protocols of which an opener may offer the choice.
pub const OFFERED_PROTOCOLS_MAX: usize = 8;
/// Events that wait for one reader; the oldest is dropped beyond.
pub const EVENTS_MAX: usize = 1024;

/// Messages and frames that wait for one tap's reader; the oldest is dropped beyond, and counted.
pub const CAPTURED_MAX: usize = 4096;
/// Bytes of a message or a frame that a tap keeps.
pub const CAPTURED_BYTES_MAX: usize = 4096;

/// Nodes linked to one relay.
pub const LINKS_MAX: usize = 16_384;
/// Links of one node to the same relay: the newest is in use, the others are spares.
pub const SPARE_LINKS_MAX: usize = 4;
/// Routes over one link.
pub const ROUTES_PER_LINK_MAX: usize = 4096;
/// Nodes of a zone of which everybody is told; more are found by asking for their name.
pub const ROSTER_MAX: usize = 128;
/// Questions of nodes below that a node has passed on to the primary.
pub const ASKED_MAX: usize = LINKS_MAX;
/// Names that a zone keeps for nodes that are away.
pub const HELD_NAMES_MAX: usize = 16_384;
/// The highest number tried for a name already taken: `name-2` to `name-999`.
pub const NAME_SUFFIX_MAX: u32 = 999;

/// Bytes of a session description in signalling.
pub const SDP_BYTES_MAX: usize = 16 * 1024;
/// Bytes of what a relay tells of its STUN server.
pub const ICE_BYTES_MAX: usize = 2048;
/// Candidates that a peer may tell of one connection.
pub const CANDIDATES_MAX: usize = 32;
/// Direct links that a tab has at the most, unless it is told otherwise. While there are no more other
/// tabs than that, it has one to each.
pub const DIRECT_LINKS: usize = 16;
/// Direct links that a native node has with tabs at the most, unless it is told otherwise.
pub const DIRECT_LINKS_NATIVE: usize = 256;

/// Bytes that wait in a native node's data channel, or are under way in it. It holds a packet, whatever its
/// size; with more the sender would overshoot what the way holds.
pub const WEBRTC_BUFFER_BYTES_MAX: usize = PACKET_BYTES_MAX;
/// Bytes left in it when it takes packets again.
pub const WEBRTC_BUFFER_BYTES_READY: usize = WEBRTC_BUFFER_BYTES_MAX / 2;
/// Addresses from which one connection is heard.
pub const WEBRTC_SOURCES_MAX: usize = 16;
/// Connections that are heard from one address.
pub const WEBRTC_CLAIMS_MAX: usize = 4;

/// Answers a second to who asks a STUN server without a credential; many addresses share a count.
pub const STUN_ANSWERS_PER_SECOND: u64 = 200;
/// Counts of those answers.
pub const STUN_ASKERS: usize = 4096;
/// Allocations of a TURN server, if the system lets it open so many sockets.
pub const TURN_ALLOCATIONS_MAX: usize = 1024;
/// Allocations of one node there: a browser makes one or two for each connection, which it closes with it, and who has
/// none left reaches others by the relay as before.
pub const TURN_ALLOCATIONS_PER_NODE_MAX: usize = 16;
/// Hosts that may send to an allocation.
pub const TURN_PERMISSIONS_MAX: usize = 64;
/// Peers of an allocation that have a number.
pub const TURN_CHANNELS_MAX: usize = 64;
/// Characters of the secret that credentials are made with, at the least: shorter ones can be guessed.
pub const TURN_SECRET_CHARS_MIN: usize = 16;
/// Datagrams for all allocations that wait to be passed on; the system keeps more, and drops the rest.
pub const TURN_DATAGRAMS_MAX: usize = 256;
/// Bytes a second that one node's allocations carry together in each direction, headers included, unless the server is told otherwise.
pub const TURN_BYTES_PER_SECOND: u64 = 8 * 1024 * 1024;

/// Items of one value: each takes 24 bytes of memory, and a list of its own some 150 while it is read,
/// whatever it took on the wire. As many, and 128 bytes of text for each, may be read as types of Rust's own.
pub const VALUE_ITEMS_MAX: usize = 1024 * 1024;
/// How deep a value may be to become a type of Rust's own, which cannot have cycles.
pub const VALUE_DEPTH_MAX: usize = 128;

/// Bytes of a command line.
pub const COMMAND_BYTES_MAX: usize = 8 * 1024;
/// Bytes of output that a caller of a command collects, of all its targets together; and that a command
/// may have written before its caller takes it.
pub const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Commands of other nodes that run at once.
pub const COMMANDS_MAX: usize = 256;
/// Targets that a command line may name.
pub const TARGETS_MAX: usize = 1024;
/// Targets of one line at which it runs at once; the others wait for one to end.
pub const TARGETS_AT_ONCE: usize = 64;
/// Bytes of a target's line that is not shown before it ends, beside those of other targets.
pub const TABLE_LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the commands that a node tells another for completion; the last ones are left out beyond.
pub const LISTING_BYTES_MAX: usize = 64 * 1024;
/// Nodes whose commands are remembered for completion.
pub const LISTINGS_MAX: usize = 16;
/// For how long.
pub const LISTING_AGE: Duration = Duration::from_secs(10);
/// How long completion waits for another node.
pub const COMPLETION_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest time after which a command can be told to end.
pub const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Events that a process keeps for those who read its log; the oldest is dropped beyond, and counted.
pub const LOG_LINES_MAX: usize = 2048;
/// Bytes of them.
pub const LOG_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of what one field of an event says; it is cut beyond.
pub const LOG_VALUE_BYTES_MAX: usize = 256;
/// Events that the command `log` shows unless it is told how many.
pub const LOG_SHOWN: usize = 100;

/// Requests to one node that await their answers, and of one node that are being answered here.
pub const REQUESTS_MAX: usize = 4096;
/// Bytes of requests of one node that are being answered here; beyond, a request fails, unless it is the only one.
pub const REQUESTS_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;
/// Bytes of requests, or of answers, that wait to leave to one node; beyond, a request fails and an answer
/// becomes a failure. With half as much again of failures and the like, the node is asked and answered no more.
pub const REQUEST_QUEUE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// References in one value.
pub const REFERENCES_MAX: usize = 1024;
/// Objects of this node that one other holds.
pub const HELD_OBJECTS_MAX: usize = 65_536;
/// Objects of third nodes, of which one node has told, that are being asked for at once.
pub const FETCHES_MAX: usize = 1024;
/// Messages to one node with references of which it has not said that it holds them.
pub const TRANSITS_MAX: usize = 4096;
/// Answers that are references and may yet be asked something, of one node.
pub const ANSWERED_MAX: usize = REQUESTS_MAX;
/// Events that wait for one subscriber; the oldest is dropped beyond, and counted.
pub const SUBSCRIPTION_EVENTS_MAX: usize = 256;
/// Bytes of events that wait for one subscriber who has more than one to take.
pub const SUBSCRIPTION_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an agent's name, or of a method's, a property's or an event's.
pub const OBJECT_NAME_BYTES_MAX: usize = 255;

/// Calls, commands and operations of one node that are in its lanes at another, the running included.
pub const LANE_PLACES_MAX: usize = 8192;
/// Bytes of memory that what they are called with takes there; one is let in, however large it is.
pub const LANE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands of one caller that wait for their turn.
pub const WAITING_COMMANDS_MAX: usize = 256;
/// Operations that run at a node at once, or wait for their lane.
pub const OPERATIONS_MAX: usize = 16_384;
/// Those of one caller.
pub const OPERATIONS_OF_CALLER_MAX: usize = 1024;
/// Bytes of memory that what they were started with takes; one is let in, however large it is.
pub const OPERATIONS_OF_CALLER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Operations that have ended and are still known; the oldest is forgotten beyond.
pub const ENDED_OPERATIONS_MAX: usize = 4096;
/// Those of one caller.
pub const ENDED_OPERATIONS_OF_CALLER_MAX: usize = 512;
/// Bytes of their results.
pub const ENDED_OPERATIONS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the results of one caller's.
pub const ENDED_OPERATIONS_OF_CALLER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long an operation that has ended is known, and its result kept.
pub const ENDED_OPERATION_KEPT: Duration = Duration::from_secs(300);
/// How long an operation that was told to stop may take to end by itself.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// Bytes of a note, or of the reason why an operation ended; it is cut beyond.
pub const REASON_BYTES_MAX: usize = 1024;

/// Header fields of one HTTP request or response, or of its trailers.
pub const HTTP_HEADERS_MAX: usize = 128;
/// Bytes of the head of an HTTP request or response, or of its trailers: names and values, method and target.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a body in one message; what is handed over in larger pieces is cut.
pub const HTTP_CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one message of an HTTP exchange: a head, a piece of the body, the trailers, and what is around them.
pub const HTTP_MESSAGE_BYTES_MAX: usize = 2 * HTTP_HEAD_BYTES_MAX + HTTP_CHUNK_BYTES_MAX + 8 * 1024;
/// Bytes of a request's body that are taken, and thrown away, after its sender was told to stop: what may have been
/// on its way.
pub const HTTP_DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// HTTP requests of one node that are answered at once.
pub const HTTP_REQUESTS_PER_PEER_MAX: usize = 512;
/// HTTP requests of all nodes that are answered at once.
pub const HTTP_REQUESTS_MAX: usize = 4096;
/// How long a node waits for the head of a request on a stream that was opened for one.
pub const HTTP_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests for `/n/{name}/` of one remote address that a relay passes on at once: no more than half of what a node
/// answers to the relay.
pub const HTTP_REQUESTS_PER_ADDRESS_MAX: usize = HTTP_REQUESTS_PER_PEER_MAX / 2;
/// How long a connection to a relay may take for the head of a request, or be idle.
pub const HTTP_CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that a relay serves by HTTP at once; more wait. One that has become a WebSocket is none.
pub const HTTP_CONNECTIONS_MAX: usize = 4096;
/// After how much silence of a connection it is asked whether the other side is there.
pub const HTTP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How long a relay waits for the head of a node's response while nothing of the request moves, unless it is told
/// otherwise.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// When somebody shall try again for whom a node is away.
pub const HTTP_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Bytes of a topic, or of a filter.
pub const TOPIC_BYTES_MAX: usize = 512;
/// Levels of a topic, or of a filter.
pub const TOPIC_LEVELS_MAX: usize = 32;
/// Bytes of a message that is published.
pub const PUBLISH_BYTES_MAX: usize = 1024 * 1024;
/// Topics of which a broker keeps something; those without a retained value make way, the oldest first.
pub const TOPICS_MAX: usize = 65_536;
/// Bytes that a broker keeps; history makes way, the oldest first.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of messages that a broker holds in all, kept or waiting for subscribers; beyond, what waits for
/// the slow is dropped.
pub const BROKER_BYTES_MAX: usize = 2 * KEPT_BYTES_MAX;
/// Topics of which nothing is kept any longer and a broker still knows up to where they have lost messages; of the others
/// it says that they may have lost as much as any that it has forgotten.
pub const GONE_TOPICS_MAX: usize = 16_384;
/// What a message is held to take beside its own bytes.
pub const MESSAGE_OVERHEAD_BYTES: usize = 128;
/// Messages of a topic that a broker keeps unless it is told otherwise…
pub const HISTORY_COUNT: usize = 64;
/// …bytes of them…
pub const HISTORY_BYTES: usize = 64 * 1024;
/// …and for how long: who has lost a connection is back by then.
pub const HISTORY_AGE: Duration = Duration::from_secs(120);
/// How often a broker looks for what has grown too old.
pub const HISTORY_SWEEP: Duration = Duration::from_secs(1);
/// Subscriptions, and others who want to know of them, at one broker.
pub const SUBSCRIPTIONS_MAX: usize = 16_384;
/// Conversations that a broker has at once: subscriptions, publishers, questions.
pub const CONVERSATIONS_MAX: usize = 2 * SUBSCRIPTIONS_MAX;
/// Those of one node.
pub const CONVERSATIONS_EACH_MAX: usize = CONVERSATIONS_MAX / 8;
/// Messages of one conversation that a broker takes before it is the turn of the others.
pub const BROKER_TURN_MESSAGES: usize = 64;
/// Messages that wait at a broker for one subscriber, beyond those under way.
pub const SUBSCRIBER_MESSAGES_MAX: usize = 16_384;
/// Bytes of them.
pub const SUBSCRIBER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages under way to one subscriber who has not said that they are taken.
pub const UNTAKEN_MESSAGES_MAX: usize = 1024;
/// Bytes of them.
pub const UNTAKEN_BYTES_MAX: usize = 256 * 1024;
/// Messages under way to one member of a group.
pub const UNTAKEN_GROUP_MAX: usize = 16;
/// Messages to be caught up with that a broker looks up at once.
pub const CATCH_UP_MAX: usize = 512;
/// Groups of subscribers.
pub const GROUPS_MAX: usize = 4096;
/// Bytes of a group's name, or of a publisher's.
pub const GROUP_BYTES_MAX: usize = 255;
/// How long a group without members keeps what none has taken.
pub const GROUP_LINGER: Duration = Duration::from_secs(120);
/// Comings and goings that wait for who follows them.
pub const PRESENCE_EVENTS_MAX: usize = 1024;
/// Publishers whose numbers a broker remembers; who has published nothing for longest is forgotten.
pub const PUBLISHERS_MAX: usize = 16_384;
/// Messages of one publisher that await their answer at a broker.
pub const PUBLISHES_MAX: usize = 1024;
/// Messages that wait for a broker's store; publishers wait beyond.
pub const STORE_QUEUE_MAX: usize = 4096;
/// Bytes of them.
pub const STORE_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of messages that wait at a publisher for their answer; more are refused.
pub const PUBLISH_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a broker may take to answer a question, or to begin a subscription.
pub const BROKER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a subscription whose broker is lost looks for it.
pub const SUBSCRIPTION_PATIENCE: Duration = RESUME_WINDOW;
/// How long it waits between two tries.
pub const SUBSCRIPTION_RETRY: Duration = Duration::from_millis(500);

/// Addresses that an invitation to a direct link may name.
pub const PUNCH_PLACES_MAX: usize = 16;
/// Bytes of such an invitation.
pub const INVITATION_BYTES_MAX: usize = 2048;
/// Bytes of the name by which a node is known in the checks of ICE: with another they are one field of STUN.
pub const ICE_NAME_BYTES_MAX: usize = 64;
/// Bytes of what those checks are signed with.
pub const ICE_PASSWORD_BYTES_MAX: usize = 256;
/// Direct links with native nodes that a native node makes at once.
pub const PUNCHES_MAX: usize = 16;
/// How long it may take until one of the two knows a way to the other.
pub const PUNCH_TIMEOUT: Duration = Duration::from_secs(5);
/// A node that asks for a direct link again within this time is turned away.
pub const PUNCH_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long there is no new try with a node to which no way was found: routers seldom change.
pub const PUNCH_PAUSE: Duration = Duration::from_secs(120);
/// How long a node waits to learn what routers make of its address.
pub const STUN_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a call of a relay may take until the socket is there.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The first wait before a relay that was lost is called again; it doubles with each call in vain…
pub const RECONNECT_MIN: Duration = Duration::from_millis(200);
/// …up to this.
pub const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// Addresses of relays that a node knows, and of which it tells how the last call went.
pub const ADDRESSES_MAX: usize = 64;
/// Links that were ended here and whose sockets are not closed yet, of which a node tells; the oldest is told
/// of no more beyond.
pub const CLOSING_LINKS_MAX: usize = 1024;
/// For how long it tells of them at the most.
pub const CLOSING_MAX: Duration = Duration::from_secs(30);
/// Addresses that are called of those that were found for one.
pub const RACE_CANDIDATES_MAX: usize = 16;
/// Bytes of an address, as it is told.
pub const ADDRESS_BYTES_MAX: usize = 255;
/// How often in a row a node calls the next relay at once when another node is there than the one that it called.
pub const IMPOSTORS_MAX: usize = 4;
/// Bytes of a datagram that announces a node on the local network, or asks who is there. A question is as long, whatever
/// is in it, so that nobody gets more by a forged sender than he pays.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 512;
/// Ways in that an announcement may name.
pub const ANNOUNCED_DOORS_MAX: usize = 4;
/// How often a node announces itself on the local network.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(5);
/// How long an announcement counts: two may be lost.
pub const ANNOUNCEMENT_KEPT: Duration = Duration::from_secs(16);
/// How often those found by DNS-SD are asked whether they are there: their records count for more than an hour.
pub const SERVICE_VERIFIED_EVERY: Duration = Duration::from_secs(15);
/// How long such a service counts that is not found again.
pub const SERVICE_KEPT: Duration = Duration::from_secs(45);
/// Questions of others on the local network that a node answers in a second.
pub const DISCOVERY_ANSWERS_MAX: usize = 32;
/// Datagrams of others on the local network that a node reads in a second; more are thrown away.
pub const DISCOVERY_DATAGRAMS_MAX: usize = 2048;
/// Nodes that discovery knows of at once; newcomers are not noted beyond.
pub const DISCOVERED_MAX: usize = 512;
/// Those that one method knows of: a flood by one leaves room for the others.
pub const DISCOVERED_PER_METHOD_MAX: usize = DISCOVERED_MAX / 2;
/// Those that one sender has told of, or that are said to be at one address.
pub const DISCOVERED_PER_SENDER_MAX: usize = 16;
/// Ways in of a node that are noted.
pub const DISCOVERED_ADDRESSES_MAX: usize = 8;
/// News of discovery that wait for one who follows it; the oldest are dropped beyond.
pub const DISCOVERY_NEWS_MAX: usize = 1024;
/// How long a node that looks for others waits for the first of them…
pub const DISCOVERY_PATIENCE: Duration = Duration::from_secs(2);
/// …and then for those who answer a little later.
pub const DISCOVERY_COMPANY: Duration = Duration::from_millis(200);
/// How long a domain's records count at the least, and at the most, whatever they say themselves.
pub const DNS_KEPT_MIN: Duration = Duration::from_secs(1);
/// See [`DNS_KEPT_MIN`].
pub const DNS_KEPT_MAX: Duration = Duration::from_secs(3600);
/// How long an answer about a domain is awaited.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// Records of a domain that are followed.
pub const DNS_RECORDS_MAX: usize = 16;

/// How long a new link may take to say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a session may take to be agreed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node goes by what it has found of its clock, until it asks its relay again.
pub const CLOCK_KEPT: Duration = Duration::from_secs(60);
/// How long it leaves a relay alone that did not tell the time.
pub const CLOCK_RETRY: Duration = Duration::from_secs(5);
/// How long an answer to a request of the relay is awaited.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// A link that has been silent this long is asked for a sign of life.
pub const KEEPALIVE: Duration = Duration::from_secs(1);
/// How long until a silent link is asked again: one that loses a tenth of everything is not dead.
pub const ASK_AGAIN: Duration = Duration::from_millis(150);
/// How often a link is asked in any case, to know how good it is.
pub const MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a node looks after its links at the most.
pub const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// A link that has been silent this long, though asked, is dead.
pub const SILENCE_MAX: Duration = Duration::from_millis(3000);
/// A session with streams that has been silent this long asks the other node for a sign of life: it may
/// have forgotten the session, though the link lives.
pub const SESSION_KEEPALIVE: Duration = Duration::from_secs(10);
/// How long until it asks again.
pub const SESSION_ASK_AGAIN: Duration = Duration::from_secs(1);
/// A session that has been silent this long, though asked, tries another way.
pub const SESSION_SILENCE_MAX: Duration = Duration::from_secs(16);
/// If the machine was run this much later than it asked to be (a suspended tab, a sleeping laptop),
/// silence in the meantime says nothing of others.
pub const STALL: Duration = Duration::from_millis(1500);
/// How long an acknowledgement may wait for company.
pub const ACK_DELAY: Duration = Duration::from_millis(20);
/// Records after which an acknowledgement does not wait.
pub const ACK_RECORDS: u32 = 32;
/// The least time after which an unacknowledged record is sent again.
pub const RESEND_MIN: Duration = Duration::from_millis(1000);
/// The longest time between two tries of sending a record again.
pub const RESEND_MAX: Duration = Duration::from_secs(8);
/// How long a session without any path waits for one.
pub const RESUME_WINDOW: Duration = Duration::from_secs(120);
/// How long a stream that has just been opened waits for a path. Those that have begun wait for as long
/// as the session does.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long the other node may take to choose a protocol: it need not ask anybody, but its way may be lost
/// and found meanwhile.
pub const OFFER_TIMEOUT: Duration = RESUME_WINDOW;
/// How long until a session without a path asks for a route again, if the last was refused.
pub const REROUTE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the other node may take to answer along a new route.
pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a direct link must have carried nothing to make way for another that is needed.
pub const DIRECT_YIELD: Duration = Duration::from_secs(5);
/// How long a direct link may carry nothing, in a zone with more tabs than a tab has links.
pub const DIRECT_IDLE: Duration = Duration::from_secs(60);
/// How long there is no direct link with a peer after one of the two had no room, or no use, for it.
pub const DIRECT_PAUSE: Duration = Duration::from_secs(10);
/// How long a connection that a native node has answered may take until it is a link.
pub const WEBRTC_OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a credential for a TURN server is good to begin with an allocation.
pub const TURN_CREDENTIAL_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long a nonce of a TURN server is good.
pub const TURN_NONCE_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long an allocation lasts that is not refreshed, at the least.
pub const TURN_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// As long as a client may ask for.
pub const TURN_LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);
/// How long an allocation lasts, refreshed or not.
pub const TURN_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a host may send to an allocation (RFC 8656, section 9).
pub const TURN_PERMISSION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// How long a peer of an allocation has a number (RFC 8656, section 12).
pub const TURN_CHANNEL_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long a ping is awaited.
pub const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the `sleep` command waits at the most.
pub const SLEEP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a zone keeps the name of a node that went.
pub const NAME_GRACE: Duration = Duration::from_secs(60);
/// How long a relay waits before it tells that a node whose link broke is gone: a node that changes
/// its network is back sooner.
pub const GONE_GRACE: Duration = Duration::from_secs(2);
/// A relay that leaves asks those below it to spread their return over this time for each of them.
pub const RETURN_SPREAD_EACH: Duration = Duration::from_micros(500);
/// The longest that a node lets itself be asked to wait.
pub const RETURN_SPREAD_MAX: Duration = Duration::from_secs(30);
/// How long a node waits for the others to return to a relay that has begun anew.
pub const RETURN_GRACE: Duration = Duration::from_secs(20);

/// Nodes that a process holds for programs that are none.
pub const HELD_NODES_MAX: usize = 4096;
/// Names of such nodes whose identities it remembers; who has been away for longest is forgotten.
pub const HELD_IDENTITIES_MAX: usize = 4096;

/// Bytes that may be read of a connection of ENet before its port is told that there is room again.
pub const ENET_TAKEN_BYTES: usize = 16 * 1024;
/// How long who is at the other end of such a connection may take to show that it is there.
pub const ENET_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that may be sent on a connection of ENet before the first of them are on their way.
pub const ENET_ROOM_BYTES: usize = 256 * 1024;
/// Datagrams that an ENet port takes before it is the turn of what is to leave.
pub const ENET_DATAGRAMS_AT_ONCE: usize = 128;
/// Connections of a port at once, unless it is told otherwise…
pub const ENET_PEERS: usize = 1024;
/// …and those of one address.
pub const ENET_PEERS_PER_ADDRESS: usize = 256;
/// Connections of ENet that wait to be heard; more are turned away.
pub const ENET_BACKLOG_MAX: usize = 256;
/// How long a call by ENet may take.
pub const ENET_DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long who calls by ENet may be silent until it is taken for a program that waits to be spoken to.
pub const ENET_SILENCE: Duration = Duration::from_secs(1);

// A full packet and one more frame must fit what the other side takes.
const _: () = assert!(PACKET_BYTES_FULL + FRAME_BYTES_MAX < PACKET_BYTES_MAX);
const _: () = assert!(FRAGMENT_BYTES_MAX < FRAME_BYTES_MAX);
// An offer may follow a record's data, and still fits a data channel of any browser.
const _: () =
    assert!(FRAGMENT_BYTES_MAX + OFFERED_PROTOCOLS_MAX * (PROTOCOL_BYTES_MAX + 2) < 15 * 1024);
const _: () = assert!(LINK_QUEUE_BYTES_FRONT < LINK_QUEUE_BYTES_PAUSE);
const _: () = assert!(LINK_ROUTE_BYTES_MAX < LINK_QUEUE_BYTES_MAX);
const _: () = assert!(LINK_QUEUE_BYTES_MAX < LINK_QUEUE_BYTES_CLOSE);
const _: () = assert!(DATAGRAM_BYTES_MAX < FRAGMENT_BYTES_MAX);
// A message of any size fits, whatever the other streams hold.
const _: () = assert!(
    MESSAGE_BYTES_MAX as u64
        + SESSION_CREDIT_BYTES
        + STREAMS_MAX as u64 * STREAM_CREDIT_FIRST_BYTES
        < HELD_BYTES_MAX
);
