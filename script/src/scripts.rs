//! The scripts of a node: its own, wherever they run, and those that others run here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures_channel::oneshot;
use futures_util::future::{BoxFuture, Either, select};
use peerage::error::Code;
use peerage::log::MESSAGE;
use peerage::rpc::{
    Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Reference, Request, Rpc,
    Thrown,
};
use peerage::service::command::Commands;
use peerage::{Failure, Time};
use rhai::Dynamic;

use crate::across::across;
use crate::check::{Entry, Program};
use crate::convert::{pack, unpack, unpack_list};
use crate::tape::{Come, Tape, Wish};
use crate::{Limits, ScriptError};

/// By what name others find a node's scripts.
pub const AGENT: &str = "peerage/scripts";

/// Scripts of others that run here at once.
const SCRIPTS_MAX: usize = 64;

/// Does work that takes long, away from what must not wait, and tells when it is done.
pub type Compute = Arc<dyn Fn(Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> + Send + Sync>;

/// Gets a script's source by what the user calls it: a file, or an address. Otherwise why it cannot.
pub type Load = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// What scripts need of the platform.
#[derive(Clone)]
pub struct Platform {
    /// How much a script may take.
    pub limits: Limits,
    /// Where scripts run.
    pub compute: Compute,
    /// Where they come from.
    pub load: Load,
}

/// A script, and what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The source.
    pub source: String,
    /// What it finds as `args`.
    pub args: Vec<String>,
}

/// The scripts of a node. Clones are the same.
#[derive(Clone)]
pub struct Scripts(Arc<Inner>);

struct Inner {
    rpc: Rpc,
    commands: Commands,
    platform: Platform,
    running: AtomicUsize,
    /// What others find; until the node has left.
    offered: OnceLock<AgentHandle>,
}

impl Scripts {
    /// The scripts of a node, which others may run here from now on, and its own user by `run`.
    ///
    /// # Errors
    /// If there is an agent of the name [`AGENT`].
    pub fn new(rpc: Rpc, commands: Commands, platform: Platform) -> Result<Self, Failure> {
        let scripts = Self(Arc::new(Inner {
            rpc,
            commands,
            platform,
            running: AtomicUsize::new(0),
            offered: OnceLock::new(),
        }));
        let offered = scripts.rpc().agent(AGENT, Offer(scripts.clone()))?;
        // It is new, so nothing was offered yet.
        let _ = scripts.0.offered.set(offered);
        crate::command::register(&scripts, &scripts.0.commands);
        Ok(scripts)
    }

    /// Whether a script can be read, and binds every name that it uses.
    ///
    /// # Errors
    /// What is wrong in it and where, or which names it does not bind.
    pub fn check(&self, source: &str) -> Result<(), ScriptError> {
        let tape = Arc::new(Tape::new(self.0.platform.limits));
        Program::compile(source, self.rpc(), &self.0.platform.limits, &tape).map(drop)
    }

    /// Runs a script here; what it writes goes to `out` as it comes. Its result, as text; empty for none.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub async fn run(&self, script: Script, out: impl FnMut(&str)) -> Result<String, ScriptError> {
        let entry = Entry::Start(script.args);
        let result = self.evaluate(&script.source, entry, out).await?;
        Ok(in_words(&result))
    }

    /// Runs a script at another node, once it is sure that it binds every name that it uses.
    ///
    /// # Errors
    /// Why it did not come to its end, or did not leave.
    pub async fn run_at(
        &self,
        node: &str,
        script: Script,
        out: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<String, ScriptError> {
        self.check(&script.source)?;
        tracing::debug!(
            target: MESSAGE,
            node = %self.rpc().node().id().short(), to = node,
            "a script leaves"
        );
        let out: Reference = self.rpc().share(Arc::new(Out(Box::new(out))));
        let args = Parcel::of(&(script.source, script.args, out)).map_err(CallError::from)?;
        let call = self.rpc().proxy(node, AGENT).ask(Act::Call, "run", args);
        match call.await {
            Ok(result) => Ok(result.read().map_err(CallError::from)?),
            Err(CallError::Thrown(thrown)) => Err(ScriptError::Thrown(thrown.message)),
            Err(error) => Err(error.into()),
        }
    }

    /// The source of a script, by what the user calls it.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn load(&self, name: String) -> Result<String, String> {
        (self.0.platform.load)(name).await
    }

    pub(crate) fn rpc(&self) -> &Rpc {
        &self.0.rpc
    }

    async fn evaluate(
        &self,
        source: &str,
        entry: Entry,
        out: impl FnMut(&str),
    ) -> Result<Dynamic, ScriptError> {
        let tape = Arc::new(Tape::new(self.0.platform.limits));
        let program = Program::compile(source, self.rpc(), &self.0.platform.limits, &tape)?;
        let running = core::pin::pin!(self.replay(source, &tape, Arc::new(program), entry, out));
        let too_long = core::pin::pin!(self.rpc().node().sleep(self.0.platform.limits.time));
        match select(running, too_long).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(ScriptError::Limit(String::from(
                "more time than it may run",
            ))),
        }
    }

    /// Runs a script again and again, each time a wish further, until it comes to its end.
    async fn replay(
        &self,
        source: &str,
        tape: &Arc<Tape>,
        program: Arc<Program>,
        entry: Entry,
        mut out: impl FnMut(&str),
    ) -> Result<Dynamic, ScriptError> {
        let _stop = Stop(Arc::clone(tape));
        loop {
            tape.rewind();
            let (tell, told) = oneshot::channel();
            let (program, entry) = (Arc::clone(&program), entry.clone());
            let run = move || {
                // Nobody may be waiting any longer.
                let _ = tell.send(program.run(&entry));
            };
            (self.0.platform.compute)(Box::new(run)).await;
            let result = told.await.unwrap_or_else(|_| {
                let lost = String::from("the script was lost");
                Err(ScriptError::Thrown(lost))
            });
            let written = tape.written();
            if !written.is_empty() {
                out(&written);
            }
            if let Some(exceeded) = tape.exceeded() {
                return Err(exceeded);
            }
            match (result, tape.wish()) {
                (Err(_), Some(wish)) => tape.put(self.grant(source, wish).await),
                (Ok(value), _) => return Ok(value),
                (Err(error), None) => return Err(error),
            }
        }
    }

    async fn grant(&self, source: &str, wish: Wish) -> Come {
        let node = self.rpc().node();
        match wish {
            Wish::Ask {
                object,
                act,
                name,
                args,
            } => {
                let answer = object.ask(act, &name, args).await;
                unpack(&answer.map_err(|error| error.to_string())?)
            }
            Wish::Run(line) => match self.0.commands.run(&line).await {
                Ok(ran) if ran.status.0 == 0 => Ok(ran.output.into()),
                Ok(ran) => Err(format!(
                    "`{line}` ended with status {}: {}",
                    ran.status.0, ran.output
                )),
                Err(failure) => Err(failure.in_words()),
            },
            Wish::Across {
                peers,
                data,
                function,
            } => {
                let results = across(self, source, function, &peers, &data).await;
                results.map(Dynamic::from)
            }
            Wish::Sleep(seconds) => match Time::try_from_secs_f64(seconds) {
                Ok(time) => {
                    node.sleep(time).await;
                    Ok(Dynamic::UNIT)
                }
                Err(_) => Err(format!("expected seconds, got {seconds}")),
            },
            Wish::Peers => {
                let names = node.peers().into_iter();
                let names = names.map(|peer| Dynamic::from(peer.name.to_string()));
                Ok(Dynamic::from(names.collect::<rhai::Array>()))
            }
        }
    }

    /// A place for one more script of another node.
    fn admit(&self) -> Result<Admitted, CallError> {
        let admitted = Admitted(self.clone());
        if self.0.running.fetch_add(1, Ordering::Relaxed) >= SCRIPTS_MAX {
            let message = format!("{SCRIPTS_MAX} scripts run here already");
            return Err(Code::Overloaded.because(message).into());
        }
        Ok(admitted)
    }
}

/// Stops a script when nobody waits for it any longer.
struct Stop(Arc<Tape>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Admitted(Scripts);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What others find of a node's scripts.
struct Offer(Scripts);

impl Agent for Offer {
    fn interface(&self) -> Interface {
        interface("Scripts", &["load", "run"])
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let (scripts, args) = (self.0.clone(), request.args);
        let node = self.0.rpc().node().id();
        let peer = request.caller.unwrap_or(node);
        match (request.act, request.name) {
            (Act::Call, "run") => Box::pin(async move {
                let _admitted = scripts.admit()?;
                tracing::debug!(
                    target: MESSAGE,
                    node = %node.short(), peer = %peer.short(),
                    "a script begins"
                );
                let (source, given): (String, Vec<String>) = (args.argument(0)?, args.argument(1)?);
                let out: Reference = args.argument(2)?;
                let out = out.proxy();
                // Each line is on its way before the next: calls keep their order.
                let write = |text: &str| out.call::<()>("", &(text,)).detach();
                let script = Script {
                    source,
                    args: given,
                };
                let result = scripts.run(script, write).await;
                tracing::debug!(
                    target: MESSAGE,
                    node = %node.short(), peer = %peer.short(), well = result.is_ok(),
                    "a script has ended"
                );
                let result = result.map_err(thrown)?;
                Ok(Parcel::of(&result)?)
            }),
            (Act::Call, "load") => Box::pin(async move {
                let source: String = args.argument(0)?;
                scripts.check(&source).map_err(thrown)?;
                let loaded = Arc::new(Loaded {
                    scripts: scripts.clone(),
                    source,
                });
                Ok(scripts.rpc().share(loaded).into())
            }),
            (act, name) => unknown(&self.interface(), act, name),
        }
    }
}

/// A script of another node, of which that applies functions to data.
struct Loaded {
    scripts: Scripts,
    source: String,
}

impl Agent for Loaded {
    fn interface(&self) -> Interface {
        interface("Script", &["apply"])
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let args = request.args;
        match (request.act, request.name) {
            (Act::Call, "apply") => Box::pin(async move {
                let _admitted = self.scripts.admit()?;
                let function: usize = args.argument(0)?;
                let mut items = unpack_list(&args).map_err(wrong)?.into_iter();
                let item = items.nth(1).unwrap_or(Dynamic::UNIT);
                let entry = Entry::Function(function, item);
                let result = self.scripts.evaluate(&self.source, entry, |_| {}).await;
                pack(&result.map_err(thrown)?).map_err(wrong)
            }),
            (act, name) => unknown(&self.interface(), act, name),
        }
    }
}

/// Where a script that runs elsewhere writes.
struct Out(Box<dyn Fn(&str) + Send + Sync>);

impl Agent for Out {
    fn interface(&self) -> Interface {
        interface("Out", &[""])
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let written = request.args.argument::<String>(0);
        let written = written.map(|text| (self.0)(&text)).map_err(CallError::from);
        Box::pin(core::future::ready(written.map(|()| Parcel::default())))
    }
}

fn interface(name: &str, methods: &[&str]) -> Interface {
    Interface {
        name: name.to_owned(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        ..Interface::default()
    }
}

fn unknown(interface: &Interface, act: Act, name: &str) -> Handling {
    Box::pin(core::future::ready(Err(interface.unknown(act, name))))
}

fn thrown(error: ScriptError) -> CallError {
    match error {
        ScriptError::Call(error) => error,
        other => Thrown::new("ScriptError", other).into(),
    }
}

fn wrong(message: String) -> CallError {
    Code::BadMessage.because(message).into()
}

/// A result for people; nothing for nothing.
fn in_words(result: &Dynamic) -> String {
    if result.is_unit() {
        String::new()
    } else {
        result.to_string()
    }
}
