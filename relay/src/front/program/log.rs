//! What programs have for the log, which is this process's.

use peerage::limits::PROGRAM_LOG_BYTES_MAX;
use peerage::log::{ERROR, MESSAGE};

use crate::front::held::Held;

/// Logs what a program says, under the id of the node that is held for it; of a long text the beginning.
pub(crate) fn log(held: &Held, level: &str, text: &str) {
    let end = text.floor_char_boundary(PROGRAM_LOG_BYTES_MAX);
    let (node, name) = (held.id().short(), held.name());
    let (name, text) = (name.as_ref().map_or("", |name| name.as_str()), &text[..end]);
    match level {
        "error" => tracing::error!(target: ERROR, %node, name, "{text}"),
        "warn" => tracing::warn!(target: ERROR, %node, name, "{text}"),
        "info" => tracing::info!(target: MESSAGE, %node, name, "{text}"),
        _ => tracing::debug!(target: MESSAGE, %node, name, "{text}"),
    }
}
