//! Runs a line for a person or a script: its output as it comes, or JSON, and its exit status.

use std::io::{self, IsTerminal, Write};

use futures_util::StreamExt;
use peerage::service::command::{Commands, News, Run, Status, Table, TargetResult, Told};
use peerage::{Code, Failure, Time};
use serde_json::{Value, json};

use crate::cli::stop::interrupted;
use crate::cli::{complain, say};

/// How a line is run.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// Results as JSON, one a line.
    pub(super) json: bool,
    /// After how long it is interrupted.
    pub(super) timeout: Option<Time>,
}

impl Manner {
    /// Runs a line to its end, or until Ctrl-C interrupts it wherever it runs.
    pub(super) async fn run(self, commands: &Commands, line: &str) -> Status {
        let run = match commands.start(line, self.timeout) {
            Ok(run) => run,
            Err(failure) => return self.failed(&failure),
        };
        let mut screen = Screen::default();
        let shown = async {
            match (self.json, run.is_several()) {
                (false, false) => self.show_one(run, &mut screen).await,
                (false, true) => show_table(run, &mut screen).await,
                (true, false) => self.tell_one(run).await,
                (true, true) => tell_several(run).await,
            }
        };
        let status = tokio::select! {
            biased;
            () = interrupted() => None,
            status = shown => Some(status),
        };
        // The terminal has shown the keys.
        screen.is_in_line |= status.is_none() && io::stdout().is_terminal();
        screen.end_line();
        status.unwrap_or_else(|| {
            if self.json {
                self.failed(&Code::Cancelled.because("interrupted"));
            }
            Status::INTERRUPTED
        })
    }

    async fn show_one(self, mut run: Run, screen: &mut Screen) -> Status {
        while let Some(told) = run.next().await {
            match told.what {
                News::Output(text) if screen.write(&text).is_err() => break,
                News::Output(_) => {}
                News::End(Ok(status)) => return status,
                News::End(Err(failure)) => {
                    screen.end_line();
                    return self.failed(&failure);
                }
            }
        }
        Status::FAILED
    }

    async fn tell_one(self, run: Run) -> Status {
        match run.outcome().await {
            Ok(ran) => {
                say(&json!({ "status": ran.status.0, "output": ran.output }).to_string());
                ran.status
            }
            Err(failure) => self.failed(&failure),
        }
    }

    fn failed(self, failure: &Failure) -> Status {
        if self.json {
            let mut error = error(failure);
            error["peer"] = json!(failure.peer);
            say(&error.to_string());
        } else {
            complain(&failure.in_words());
        }
        Status::FAILED
    }
}

/// As a table, each target's lines as they come.
async fn show_table(mut run: Run, screen: &mut Screen) -> Status {
    let mut table = Table::new(&run);
    let mut status = Status::OK;
    while let Some(told) = run.next().await {
        if screen.write(&table.tell(&told)).is_err() {
            return Status::FAILED;
        }
        if let Told {
            what: News::End(end),
            ..
        } = told
            && end != Ok(Status::OK)
        {
            status = Status::FAILED;
        }
    }
    status
}

/// A line for each target, as they end.
async fn tell_several(mut run: Run) -> Status {
    let mut status = Status::OK;
    while let Some(ended) = run.next_result().await {
        if !ended.is_well() {
            status = Status::FAILED;
        }
        let TargetResult { target, result } = ended;
        let line = match result {
            Ok((status, output)) => {
                json!({ "target": &*target, "status": status.0, "output": output })
            }
            Err(failure) => json!({ "target": &*target, "error": error(&failure) }),
        };
        say(&line.to_string());
    }
    status
}

fn error(failure: &Failure) -> Value {
    json!({ "code": failure.code.as_str(), "message": failure.message })
}

/// Standard output, on which lines end.
#[derive(Default)]
struct Screen {
    is_in_line: bool,
}

impl Screen {
    /// Writes. If nobody reads any longer, that is an error.
    fn write(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            self.is_in_line = !text.ends_with('\n');
        }
        let mut out = io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn end_line(&mut self) {
        if core::mem::take(&mut self.is_in_line) {
            say("");
        }
    }
}
