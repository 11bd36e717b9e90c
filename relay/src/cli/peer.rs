//! `peerage peer`: a prompt, or one command.

use std::process::ExitCode;

use peerage::id::Kind;
use peerage::service::command::{Commands, Outcome as Ran};
use peerage::{Config, Failure};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::json;

use crate::cli::{Common, Door, Outcome, complain, name_of, relay_url, relay_urls, say};
use crate::config::FileConfig;
use crate::join;

const DEFAULT_RELAY: &str = "ws://127.0.0.1:7700/mesh";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Run one command and exit with its status.
    #[arg(short, value_name = "COMMAND")]
    command: Option<String>,
    /// Write results as JSON, one a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Outcome {
    let file = FileConfig::load(args.common.config.as_deref())?;
    let mut relays = relay_urls(&args.common.relay, &file.relays)?;
    if relays.is_empty() {
        relays.push(relay_url(DEFAULT_RELAY)?);
    }
    let door = match args.common.listen.or(file.address()) {
        Some(address) => Some(Door::open(address).await?),
        None => None,
    };
    let mut config = file.links.applied_to(Config::new(Kind::Native));
    config.name = name_of(args.common.name, file.name)?;
    let (commands, runtime) = join(config, relays, file.commands).await?;
    if let Some(door) = door {
        complain(&format!("others may call ws://{}/mesh", door.address));
        let (node, links) = (commands.node().clone(), runtime.clone());
        tokio::spawn(async move {
            // The process ends when the node has; nobody is to be waited for here.
            let never = std::future::pending();
            if let Err(error) = door.serve(node, links, &file.origins, never).await {
                complain(&format!("peerage: {error}"));
            }
        });
    }
    let code = match args.command {
        Some(line) => report(commands.run(&line).await, args.json),
        None => prompt(&commands, args.json).await?,
    };
    commands.node().close();
    runtime.finished().await;
    Ok(code)
}

async fn prompt(commands: &Commands, json: bool) -> Outcome {
    let mut editor = DefaultEditor::new()?;
    let name = commands
        .node()
        .name()
        .map_or_else(String::new, |name| name.to_string());
    loop {
        let question = format!("{name}> ");
        let (back, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(&question);
            (editor, line)
        })
        .await
        .map_err(|error| ReadlineError::Io(std::io::Error::other(error)))?;
        editor = back;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
        };
        match line.trim() {
            "" => {}
            "exit" | "quit" => return Ok(ExitCode::SUCCESS),
            line => {
                editor.add_history_entry(line)?;
                report(commands.run(line).await, json);
            }
        }
    }
}

fn report(result: Result<Ran, Failure>, json: bool) -> ExitCode {
    match result {
        Ok(ran) => {
            if json {
                say(&json!({ "status": ran.status.0, "output": ran.output }).to_string());
            } else if !ran.output.is_empty() {
                say(ran.output.trim_end_matches('\n'));
            }
            ExitCode::from(ran.status.0)
        }
        Err(failure) => {
            if json {
                let code = failure.code.as_str();
                let error =
                    json!({ "code": code, "message": failure.message, "peer": failure.peer });
                say(&error.to_string());
            } else {
                complain(&failure.in_words());
            }
            ExitCode::FAILURE
        }
    }
}
