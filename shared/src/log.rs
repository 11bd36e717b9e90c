//! What the node tells of its work, as `tracing` events. WARN is for what an operator should look
//! at, INFO for what a user did, DEBUG for a link's or a session's life, TRACE for each message.
//!
//! The seven steps of a remote command are INFO events of target [`STEPS`], with the fields `step`
//! and `trace`, which is the same number on both nodes:
//!
//! | step | at | what |
//! |---|---|---|
//! | `parse` | caller | the line is split into a command and `@B` |
//! | `route` | caller | `@B` is a node id, and by which path |
//! | `deliver` | target | the command has arrived |
//! | `translate` | target | aliases are resolved |
//! | `execute` | target | the command runs |
//! | `return` | target | status and output go back |
//! | `display` | caller | the result is here |

/// The target of the events that tell a remote command's steps.
pub const STEPS: &str = "peerage::command";

/// Tells one step of a command.
macro_rules! step {
    ($step:literal, $trace:expr, $($field:tt)*) => {
        tracing::info!(target: $crate::log::STEPS, step = $step, trace = $trace, $($field)*)
    };
}
pub(crate) use step;
