//! Where a node's process tells of traces.

use std::sync::Arc;

use peerage::Config;
use peerage::rpc::AgentHandle;

use crate::cli::CliError;
use crate::config::FileConfig;
use crate::trace::Traces;
use crate::{JoinError, Node};

/// What exports a node's traces, if its configuration says where to.
pub(super) struct Exported {
    traces: Option<Arc<Traces>>,
    heard: Option<AgentHandle>,
}

impl Exported {
    /// Traces what a node with this configuration is going to do.
    pub(super) fn open(file: &FileConfig, config: &mut Config) -> Self {
        let traces = Traces::open(&file.traces);
        config.tracer = traces.clone().map(|traces| traces as _);
        let heard = None;
        Self { traces, heard }
    }

    /// Takes what the node's tabs hand over.
    pub(super) fn hear_tabs(&mut self, node: &Node) -> Result<(), CliError> {
        let heard = self.traces.as_ref();
        let heard = heard.map(|traces| traces.hear_tabs(node.rpc()));
        self.heard = heard.transpose().map_err(JoinError::Failed)?;
        Ok(())
    }

    /// Waits until all is told, or that takes too long.
    pub(super) async fn flush(self) {
        if let Some(traces) = self.traces {
            traces.flush().await;
        }
    }
}
