//! Commands between nodes of a zone in memory.

mod defects;
mod lanes;
mod links;
mod log;
mod remote;
mod steps;
mod targets;
mod words;

use std::collections::BTreeMap;

use crate::service::command::{Commands, Completion, Outcome, Status};
use crate::service::zone::{WHILE, Zone};
use crate::{Failure, Time};

/// A zone in which every node serves its commands.
struct Stage {
    zone: Zone,
    commands: BTreeMap<String, Commands>,
}

impl Stage {
    /// With these nodes besides the relay.
    fn with(names: &[&str]) -> Self {
        let zone = Zone::new();
        let relay = zone.node(0).clone();
        let commands = BTreeMap::new();
        let mut stage = Self { zone, commands };
        stage.serve("relay", Commands::new(relay, BTreeMap::new()));
        for name in names {
            stage.join(name, &[]);
        }
        stage
    }

    /// Adds a node with these aliases.
    fn join(&mut self, name: &str, aliases: &[(&str, &str)]) {
        let node = self.zone.join(name);
        let aliases = aliases
            .iter()
            .map(|(name, to)| ((*name).into(), (*to).into()));
        self.serve(name, Commands::new(node, aliases.collect()));
    }

    fn serve(&mut self, name: &str, commands: Commands) {
        let serving = commands.clone();
        self.zone.spawn(async move { serving.serve().await });
        self.commands.insert(name.to_owned(), commands);
    }

    fn of(&self, name: &str) -> Commands {
        self.commands[name].clone()
    }

    /// What comes of a line at the node `a`.
    fn run(&mut self, line: &str) -> Result<Outcome, Failure> {
        let commands = self.of("a");
        self.zone.run(async move { commands.run(line).await })
    }

    /// Status and output of a line that comes to an end.
    fn ran(&mut self, line: &str) -> (u8, String) {
        let outcome = self.run(line).unwrap();
        (outcome.status.0, outcome.output)
    }

    fn complete(&mut self, line: &str) -> Completion {
        let commands = self.of("a");
        self.zone
            .run(async move { commands.complete(line, line.len()).await })
    }
}
