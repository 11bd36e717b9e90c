//! What could stand where the cursor is: names of commands, of nodes, and what a remote node knows.

use std::collections::HashMap;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    COMMAND_BYTES_MAX, COMPLETION_TIMEOUT, LISTING_AGE, LISTING_BYTES_MAX, LISTINGS_MAX,
};
use crate::log::event;
use crate::service::command::deadline::within;
use crate::service::command::line::{SYSTEM, target_word};
use crate::service::command::param::ParamKind;
use crate::service::command::wire::{Request, Response};
use crate::service::command::words::{next_word, split_word};
use crate::service::command::{Commands, PROTOCOL, Signature};
use crate::wire::{from_cbor, to_cbor};

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The byte of the line at which the word begins that a candidate replaces, up to the cursor.
    pub start: usize,
    /// In order; none if nothing is known.
    pub candidates: Vec<Candidate>,
}

/// One of the things that could stand there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// What it means, if there is a word on it.
    pub help: String,
}

/// What other nodes have told of their commands of late.
#[derive(Default)]
pub(super) struct Listings(HashMap<NodeId, (Time, Vec<Signature>)>);

impl Listings {
    fn get(&self, node: NodeId, now: Time) -> Option<&Vec<Signature>> {
        let (since, listing) = self.0.get(&node)?;
        (now.saturating_sub(*since) < LISTING_AGE).then_some(listing)
    }

    fn put(&mut self, node: NodeId, now: Time, listing: Vec<Signature>) {
        self.0
            .retain(|_, (since, _)| now.saturating_sub(*since) < LISTING_AGE);
        if self.0.len() < LISTINGS_MAX {
            self.0.insert(node, (now, listing));
        }
    }
}

impl Commands {
    /// What could stand at the byte `cursor` of a line. If the line has a target, that node is asked for
    /// its commands, for a moment.
    pub async fn complete(&self, line: &str, cursor: usize) -> Completion {
        let before = &line[..line.floor_char_boundary(cursor)];
        if line.len() > COMMAND_BYTES_MAX {
            return Completion::default();
        }
        let start = before.rfind(char::is_whitespace);
        let start = start.map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        if let Some(name) = target_word(&before[start..]) {
            return self.complete_target(start + 1, name, before);
        }
        let (target, command) = target_of(line, before);
        let signatures = match target.split(',').next() {
            None | Some("" | "*") => self.signatures(),
            Some(name) => self.signatures_at(name).await,
        };
        let candidates = self.candidates(&signatures, command);
        Completion { start, candidates }
    }

    /// The rest of a word that begins with `@`.
    fn complete_target(&self, start: usize, word: &str, before: &str) -> Completion {
        let comma = word.rfind(',').map_or(0, |at| at + 1);
        let (start, word) = (start + comma, &word[comma..]);
        let mut candidates = match word.split_once('[') {
            Some(_) => return Completion::default(),
            None => self.nodes(word),
        };
        let (name, _) = split_word(before.trim_start());
        if comma == 0 && word.is_empty() && !self.lock().takes_node(name) {
            let help = String::from("everyone else");
            let text = String::from("*");
            candidates.insert(0, Candidate { text, help });
        }
        Completion { start, candidates }
    }

    fn candidates(&self, signatures: &[Signature], mut command: &str) -> Vec<Candidate> {
        command = command.trim_start();
        while let Some(after) = command.strip_prefix(SYSTEM)
            && after.starts_with(char::is_whitespace)
        {
            command = after.trim_start();
        }
        let (name, mut args) = split_word(command);
        if name.len() == command.len() {
            return named(signatures, name);
        }
        let Some(signature) = signatures.iter().find(|s| s.name == name) else {
            return Vec::new();
        };
        let mut count = 0;
        while let Ok(Some((_, after))) = next_word(args)
            && !after.is_empty()
        {
            count += 1;
            args = after;
        }
        let rest = signature.params.last().filter(|param| param.rest);
        let Some(param) = signature.params.get(count).or(rest) else {
            return Vec::new();
        };
        let begun = args.trim_start();
        match param.kind {
            ParamKind::Node => self.nodes(begun),
            ParamKind::Command => named(signatures, begun),
            ParamKind::Boolean => beginning(begun, ["false", "true"].map(|b| (b, ""))),
            _ => Vec::new(),
        }
    }

    /// Nodes whose names begin like this.
    fn nodes(&self, begun: &str) -> Vec<Candidate> {
        let peers = self.node.peers();
        let named = peers.iter().map(|p| (p.name.as_str(), p.kind.as_str()));
        beginning(begun, named)
    }

    /// The commands of another node, if it tells them soon.
    async fn signatures_at(&self, name: &str) -> Vec<Signature> {
        let asked = within(&self.node, COMPLETION_TIMEOUT, async {
            match self.node.resolve(name).await {
                Ok(Some(peer)) => self.listing_of(peer).await,
                Ok(None) => self.signatures(),
                Err(_) => Vec::new(),
            }
        });
        asked.await.unwrap_or_default()
    }

    async fn listing_of(&self, peer: NodeId) -> Vec<Signature> {
        let now = self.node.now();
        if let Some(known) = self.lock().listings.get(peer, now) {
            return known.clone();
        }
        let listing = self.ask(peer).await.unwrap_or_else(|failure| {
            event!(
                MESSAGE, DEBUG, self.node.id(),
                peer = %peer.short(), code = %failure.code,
                "no list of commands"
            );
            Vec::new()
        });
        self.lock().listings.put(peer, now, listing.clone());
        listing
    }

    async fn ask(&self, peer: NodeId) -> Result<Vec<Signature>, Failure> {
        let stream = self.node.open(peer, PROTOCOL)?;
        stream.send(to_cbor(&Request::List)).await?;
        stream.finish();
        let message = stream.recv().await?.unwrap_or_default();
        if message.len() > 2 * LISTING_BYTES_MAX {
            return Err(Code::TooLarge.because("the list of commands is too long"));
        }
        match from_cbor(&message, "a list of commands")? {
            Response::Commands(listing) => Ok(listing),
            _ => Err(Code::BadMessage.because("expected a list of commands, got something else")),
        }
    }
}

/// The target of a line, or nothing, and the command before the cursor.
fn target_of<'l>(line: &'l str, before: &'l str) -> (&'l str, &'l str) {
    let name = |word| target_word(word).map(|word| word.split('[').next().unwrap_or(word));
    let (first, command) = split_word(before.trim_start());
    if let Some(target) = name(first) {
        return (target, command);
    }
    let after = line[before.len()..].split_whitespace().next_back();
    (after.and_then(name).unwrap_or(""), before)
}

fn named(signatures: &[Signature], begun: &str) -> Vec<Candidate> {
    let all = signatures.iter();
    beginning(begun, all.map(|s| (s.name.as_str(), s.help.as_str())))
}

/// Those that begin like this. What others have told and cannot be typed, or would be more than a word
/// on the user's screen, is left out.
fn beginning<'a>(begun: &str, all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Candidate> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let fitting = all
        .into_iter()
        .filter(|(text, _)| text.starts_with(begun) && !text.is_empty() && !text.contains(odd));
    let mut candidates: Vec<_> = fitting
        .map(|(text, help)| Candidate {
            text: text.to_owned(),
            help: help.chars().filter(|c| !c.is_control()).collect(),
        })
        .collect();
    candidates.sort();
    candidates.dedup();
    candidates
}
