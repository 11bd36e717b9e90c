//! What traces may take.

use core::time::Duration;

/// Spans that wait to be exported; beyond, they are dropped.
pub const TRACE_QUEUE_MAX: usize = 2048;
/// Spans that are exported at once.
pub const TRACE_BATCH_MAX: usize = 512;
/// How long spans wait for others to be exported with them.
pub const TRACE_BATCH_EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take for one export.
pub const TRACE_EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a process that ends waits for its last export.
pub const TRACE_FLUSH_MAX: Duration = Duration::from_secs(2);
/// Bytes of a collector's answer.
pub const TRACE_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Spans of a tab that wait to be handed to its relay; beyond, they are dropped.
pub const TRACE_WAITING_MAX: usize = 512;
/// Spans that are handed over at once.
pub const TRACE_PUT_SPANS_MAX: usize = 64;
/// Bytes of those, as values.
pub const TRACE_PUT_BYTES_MAX: usize = 128 * 1024;
/// Bytes of each text of a span that is handed over.
pub const TRACE_TEXT_BYTES_MAX: usize = 512;
/// How often in a second a relay takes spans, from all together.
pub const TRACE_PUTS_PER_SECOND: usize = 256;
