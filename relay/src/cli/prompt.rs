//! The prompt of `peerage peer`: lines with history and completion, Ctrl-C that interrupts what runs.

use std::borrow::Cow;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use peerage::service::command::Commands;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::runtime::Handle;
use tokio::sync::mpsc as tokio_mpsc;

use crate::cli::report::Manner;
use crate::cli::stop::{interrupted, terminated};
use crate::cli::{complain, say};

/// Lines that the history keeps.
const HISTORY_LINES_MAX: usize = 1000;
/// The words that leave.
const LEAVE: [&str; 2] = ["exit", "quit"];
const HELP: &str = "At this prompt, Tab completes, Ctrl-C interrupts, and `exit` or Ctrl-D leaves.";

/// Runs the lines that are typed, until the user leaves or the process is told to end.
pub(super) async fn prompt(commands: &Commands, manner: Manner) -> Result<(), ReadlineError> {
    let keyboard = Keyboard::start(commands)?;
    tokio::select! {
        ended = converse(keyboard, commands, manner) => ended,
        () = terminated() => Ok(()),
    }
}

async fn converse(
    mut keyboard: Keyboard,
    commands: &Commands,
    manner: Manner,
) -> Result<(), ReadlineError> {
    let is_terminal = stdin().is_terminal();
    if is_terminal {
        let name = own_name(commands);
        complain(&format!("You are {name}; `help` lists the commands."));
    }
    loop {
        let typed = tokio::select! {
            typed = keyboard.line(format!("{}> ", own_name(commands))) => typed,
            // At a terminal, Ctrl-C is a key, and one that is late is not to end the peer.
            () = interrupted(), if !is_terminal => return Ok(()),
        };
        match typed {
            Ok(line) if LEAVE.contains(&line.trim()) => return Ok(()),
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                manner.run(commands, &line).await;
                if is_terminal && line.trim() == "help" {
                    say(HELP);
                }
            }
            // Ctrl-C clears the line.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn own_name(commands: &Commands) -> String {
    let name = commands.node().name();
    name.map_or_else(String::new, |name| name.to_string())
}

/// The line editor, in a thread of its own: it waits for keys, and is left behind when the process ends.
struct Keyboard {
    questions: mpsc::SyncSender<String>,
    lines: tokio_mpsc::Receiver<Result<String, ReadlineError>>,
}

impl Keyboard {
    fn start(commands: &Commands) -> Result<Self, ReadlineError> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_LINES_MAX)?
            .history_ignore_space(true)
            .auto_add_history(true)
            .build();
        let mut editor = Editor::<Typing, DefaultHistory>::with_config(config)?;
        editor.set_helper(Some(Typing {
            commands: commands.clone(),
            runtime: Handle::current(),
            history: HistoryHinter::new(),
        }));
        let history = history_file().filter(|_| stdin().is_terminal());
        if let Some(file) = &history
            && let Err(error) = editor.load_history(file)
        {
            tracing::debug!(target: "peerage::prompt", ?file, %error, "no history");
        }
        let (questions, asked) = mpsc::sync_channel::<String>(1);
        let (answers, lines) = tokio_mpsc::channel(1);
        thread::spawn(move || {
            for question in asked {
                let line = editor.readline(&question);
                if let Some(file) = &history
                    && let Err(error) = keep(&mut editor, file)
                {
                    tracing::debug!(
                        target: "peerage::prompt",
                        ?file, %error,
                        "the history is not kept"
                    );
                }
                if answers.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { questions, lines })
    }

    async fn line(&mut self, question: String) -> Result<String, ReadlineError> {
        // An error means that the thread is no more, which the other channel tells.
        let _ = self.questions.send(question);
        self.lines.recv().await.unwrap_or(Err(ReadlineError::Eof))
    }
}

fn keep(editor: &mut Editor<Typing, DefaultHistory>, file: &Path) -> Result<(), ReadlineError> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    editor.append_history(file)
}

/// Where the lines of former days are: a user's state, by the XDG directories.
fn history_file() -> Option<PathBuf> {
    let absolute = |key| {
        let folder = std::env::var_os(key).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("peerage/history"))
}

/// What helps while a line is typed.
struct Typing {
    commands: Commands,
    runtime: Handle,
    history: HistoryHinter,
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let completed = self.runtime.block_on(self.commands.complete(line, cursor));
        let texts = completed.candidates.into_iter().map(|c| c.text);
        let begun = &line[..cursor];
        let leaving = LEAVE.iter().filter(|word| word.starts_with(begun));
        let mut texts: Vec<_> = texts.chain(leaving.map(|&word| word.into())).collect();
        if let [only] = &mut texts[..] {
            only.push(' ');
        }
        let pair = |text: String| Pair {
            display: text.clone(),
            replacement: text,
        };
        Ok((completed.start, texts.into_iter().map(pair).collect()))
    }
}

impl Hinter for Typing {
    type Hint = String;

    fn hint(&self, line: &str, cursor: usize, context: &Context<'_>) -> Option<String> {
        self.history.hint(line, cursor, context)
    }
}

impl Highlighter for Typing {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[2m{hint}\x1b[m"))
    }
}

impl Validator for Typing {}

impl Helper for Typing {}
