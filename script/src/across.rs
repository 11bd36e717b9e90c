//! Work that is spread over nodes: each takes the next item when it is done with one, and what a node that
//! goes has not done is done by another. Of every item there is one result.

use std::collections::VecDeque;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use peerage::rpc::{Act, CallError, Proxy};
use rhai::Dynamic;

use crate::convert::{pack_list, unpack};
use crate::scripts::{AGENT, Scripts};

/// Items that one node has at once: the next is there when it is done with one.
const ITEMS_EACH: usize = 2;

/// An item that a node has worked on: whose, which, and what came of it.
type Done = (usize, usize, Result<Dynamic, CallError>);

/// The results of a function of a script on all data, in its order.
///
/// # Errors
/// What the function threw; why no node is left.
pub(crate) async fn across(
    scripts: &Scripts,
    source: &str,
    function: usize,
    peers: &[String],
    data: &[Dynamic],
) -> Result<Vec<Dynamic>, String> {
    let mut work = Work {
        nodes: Vec::new(),
        waiting: (0..data.len()).collect(),
        running: FuturesUnordered::new(),
        results: vec![None; data.len()],
    };
    for peer in peers {
        // Each node reads the script once, and has it for as long as it is held here.
        let loading = scripts.rpc().proxy(peer, AGENT);
        let loading = loading.ask(Act::Call, "load", pack_list(&[source.to_owned().into()])?);
        work.nodes.push(Some(loading.pipelined()));
    }
    for node in 0..peers.len() {
        for _ in 0..ITEMS_EACH {
            work.give(node, function, data)?;
        }
    }
    let mut last = String::from("there is no node to do it");
    while let Some((node, item, result)) = work.running.next().await {
        match result {
            Ok(value) => {
                work.results[item] = Some(value);
                work.give(node, function, data)?;
            }
            Err(CallError::Thrown(thrown)) => return Err(thrown.message),
            Err(failed) => {
                last = failed.to_string();
                work.nodes[node] = None;
                work.waiting.push_front(item);
                // Whoever has nothing to do takes what the lost one had.
                for other in 0..peers.len() {
                    work.give(other, function, data)?;
                }
            }
        }
    }
    let results = work.results.into_iter().collect::<Option<Vec<_>>>();
    results.ok_or_else(|| format!("no node is left to do the rest: {last}"))
}

struct Work {
    /// The script at each node; none at those that are lost.
    nodes: Vec<Option<Proxy>>,
    waiting: VecDeque<usize>,
    running: FuturesUnordered<BoxFuture<'static, Done>>,
    results: Vec<Option<Dynamic>>,
}

impl Work {
    /// Gives a node something to do, if both are there.
    fn give(&mut self, node: usize, function: usize, data: &[Dynamic]) -> Result<(), String> {
        let Some(script) = &self.nodes[node] else {
            return Ok(());
        };
        let Some(item) = self.waiting.pop_front() else {
            return Ok(());
        };
        let args = pack_list(&[(function as i64).into(), data[item].clone()])?;
        let call = script.ask(Act::Call, "apply", args);
        self.running.push(Box::pin(async move {
            let result = match call.await {
                Ok(parcel) => unpack(&parcel)
                    .map_err(|message| peerage::Code::BadMessage.because(message).into()),
                Err(error) => Err(error),
            };
            (node, item, result)
        }));
        Ok(())
    }
}
