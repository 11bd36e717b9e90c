//! One connection of an adapter with its node, from hello to the end.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{
    ADAPTER_KEEPALIVE, ADAPTER_SILENCE_MAX, ADAPTER_WELCOME_TIMEOUT, PROGRAM_REQUESTS_MAX,
};
use peerage::rpc::Parcel;
use peerage::service::operation::{Stop, StopKind};
use peerage::trace::{self, Open, Side};
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::watch;
use tokio::time::Instant;

use super::frame::{Framing, Reader, Writer};
use super::hello::{About, Announced, VERSION, Welcome};
use super::line::{Line, Report};
use super::{Act, Ask, Device, Refusal, Settings, State};
use crate::front::out::{Out, out};
use crate::front::program::wire::{FIELDS, field, of, parts, say};
use crate::runtime::random;

/// What a connection is for.
pub(super) struct Session<'a> {
    pub(super) settings: &'a Settings,
    pub(super) line: &'a Line,
    pub(super) device: &'a Arc<dyn Device>,
}

/// What is under way, which ends with this.
struct Work<'a> {
    session: &'a Session<'a>,
    out: &'a Out,
    epoch: u64,
    is_linked: bool,
    /// When it said hello, or was last told to wait.
    greeted: Instant,
    after: &'a mut u64,
    doing: FuturesUnordered<BoxFuture<'static, u64>>,
    asked: HashMap<u64, (Stopper, AbortHandle)>,
}

/// By which what is under way is told to stop.
type Stopper = watch::Sender<Option<Stop>>;

impl Session<'_> {
    /// Speaks on a line until it ends; why it did.
    pub(super) async fn run(
        &self,
        line: impl AsyncRead + AsyncWrite + Send + 'static,
        framing: Framing,
        after: &mut u64,
        tell: &mut (dyn FnMut(State) + Send),
    ) -> String {
        let (reading, writing) = split(Box::pin(line));
        let (out, unsaid) = out();
        let saying = tokio::spawn(unsaid.say(Writer::new(writing, framing)));
        let why = self
            .converse(Reader::new(reading, framing), &out, after, tell)
            .await;
        self.line.end();
        // Nobody hears it any more: the line ends with its last holder.
        saying.abort();
        let _ = saying.await;
        match why {
            Ok(why) => why,
            Err(failure) => failure.to_string(),
        }
    }

    async fn converse<R: AsyncRead + Unpin>(
        &self,
        mut reader: Reader<R>,
        out: &Out,
        after: &mut u64,
        tell: &mut (dyn FnMut(State) + Send),
    ) -> Result<String, Failure> {
        let epoch = epoch()?;
        out.push(self.hello(epoch, *after)?)?;
        let mut work = Work {
            session: self,
            out,
            epoch,
            is_linked: false,
            greeted: Instant::now(),
            after,
            doing: FuturesUnordered::new(),
            asked: HashMap::new(),
        };
        let mut pulse = tokio::time::interval(ADAPTER_KEEPALIVE);
        let mut lost = self.device.lost();
        loop {
            tokio::select! {
                message = reader.next() => match message {
                    Ok(message) => work.hear(&message, tell)?,
                    Err(error) => return Ok(error.to_string()),
                },
                Some(number) = work.doing.next() => drop(work.asked.remove(&number)),
                why = &mut lost => return Ok(why),
                _ = pulse.tick() => {
                    // A serial line may have lost the hello, or the answer to it.
                    if !work.is_linked && work.greeted.elapsed() > ADAPTER_WELCOME_TIMEOUT {
                        return Ok(String::from("the node does not answer"));
                    }
                    if reader.silence() > ADAPTER_SILENCE_MAX {
                        return Ok(String::from("the node is silent"));
                    }
                    if reader.silence() >= ADAPTER_KEEPALIVE / 2 {
                        out.push(say("ping", [])?)?;
                    }
                }
            }
        }
    }

    /// Begins the span of what is asked for, if that belongs to a trace.
    fn traced(&self, ask: &Ask) -> Option<Open> {
        let tracer = self.settings.tracer.as_ref()?;
        let about = || {
            let schemas = self.device.schemas();
            let mut of_name = schemas
                .iter()
                .filter(|schema| schema.method(&ask.name).is_some());
            let interface = match &*ask.interface {
                "" => of_name.next().map_or("", |schema| schema.name()),
                interface => interface,
            };
            trace::About {
                name: format!("adapter {interface}.{}", ask.name),
                node: self.settings.name.to_string(),
                peer: ask.caller.clone(),
            }
        };
        Open::begin(tracer, Some(ask.trace?), Side::Server, about)
    }

    fn hello(&self, epoch: u64, after: u64) -> Result<Bytes, Failure> {
        let interfaces = self.device.schemas().into_iter().map(|schema| Announced {
            name: schema.name().to_owned(),
            version: schema.interface.version,
            hash: schema.hash.clone(),
            schema: Some(schema.source.clone()),
        });
        let about = About {
            kind: self.settings.kind.clone(),
            instance: self.settings.instance.clone(),
            node: self.settings.node.clone(),
            token: self.settings.token.clone(),
            epoch,
            after,
            interfaces: interfaces.collect(),
        };
        say(
            "hello",
            [of(&VERSION), of(self.settings.name.as_str()), of(&about)],
        )
    }
}

impl Work<'_> {
    fn hear(&mut self, message: &Bytes, tell: &mut dyn FnMut(State)) -> Result<(), Failure> {
        let (word, fields) = parts(message)?;
        match word.as_str() {
            "welcome" => self.welcome(&fields, tell)?,
            "waiting" => {
                let node: Option<String> = field(&fields[0], "a node or null")?;
                self.greeted = Instant::now();
                self.end();
                tell(State::Blocked(format!(
                    "its node {}",
                    node.unwrap_or_default()
                )));
            }
            "refused" => {
                let (code, message) = (text(&fields[0])?, text(&fields[1])?);
                let code = Code::from_name(&code).unwrap_or(Code::Refused);
                return Err(code.because(message));
            }
            "ping" => self.out.push(say("pong", [])?)?,
            // What is from before its own welcome is for somebody else.
            _ if !self.is_linked => {}
            "call" => self.ask(Act::Call, fields)?,
            "set" => self.ask(Act::Set, fields)?,
            "begin" => self.begin(fields)?,
            "stop" => {
                let (kind, reason) = (text(&fields[1])?, text(&fields[2])?);
                let kind = if kind == "cancel" {
                    StopKind::Cancel
                } else {
                    StopKind::Abort
                };
                if let Some((stop, _)) = self.asked.get(&number(&fields[0])?) {
                    stop.send_replace(Some(kind.because(reason)));
                }
            }
            "cancelled" => {
                if let Some((_, working)) = self.asked.remove(&number(&fields[0])?) {
                    working.abort();
                }
            }
            "result" => {
                let [id, value, ..] = fields;
                self.session
                    .line
                    .answer(field(&id, "a request's number")?, Ok(value));
            }
            "fail" => {
                let why = (text(&fields[1])?, text(&fields[2])?);
                let id = field(&fields[0], "a request's number")?;
                self.session.line.answer(id, Err(why));
            }
            // Words of a later version.
            _ => {}
        }
        Ok(())
    }

    fn welcome(
        &mut self,
        fields: &[Parcel; FIELDS],
        tell: &mut dyn FnMut(State),
    ) -> Result<(), Failure> {
        let welcome: Welcome = field(&fields[2], "what the node supports")?;
        if welcome.epoch != self.epoch {
            // It answers a hello from before.
            return Ok(());
        }
        if welcome.version != VERSION {
            let message = format!("expected version {VERSION}, got {}", welcome.version);
            return Err(Code::IncompatibleVersion.because(message));
        }
        let name = text(&fields[0])?;
        self.end();
        self.is_linked = true;
        tell(State::Linked(name));
        self.session.line.begin(self.out);
        Ok(())
    }

    /// Nothing goes on: the link has ended.
    fn end(&mut self) {
        self.is_linked = false;
        self.session.line.end();
        self.doing.clear();
        self.asked.clear();
    }

    fn ask(&mut self, act: Act, fields: [Parcel; FIELDS]) -> Result<(), Failure> {
        let [id, interface, name, args, caller, trace] = fields;
        let (operation, stop) = self.request(&id, &name, args, &caller, &trace)?;
        let ask = Ask {
            act,
            interface: text(&interface)?,
            ..operation
        };
        self.take(ask, stop)
    }

    fn begin(&mut self, fields: [Parcel; FIELDS]) -> Result<(), Failure> {
        let [id, name, args, caller, trace, _] = fields;
        let (ask, stop) = self.request(&id, &name, args, &caller, &trace)?;
        self.take(ask, stop)
    }

    /// What is asked for, as an operation, and the way to stop it.
    fn request(
        &self,
        id: &Parcel,
        name: &Parcel,
        args: Parcel,
        caller: &Parcel,
        trace: &Parcel,
    ) -> Result<(Ask, Stopper), Failure> {
        let number = number(id)?;
        let line = self.session.line.clone();
        let trace: Option<String> = trace.read().unwrap_or_default();
        let (stop, stopped) = watch::channel(None);
        let ask = Ask {
            act: Act::Begin,
            interface: String::new(),
            name: text(name)?,
            args,
            caller: field(caller, "a node's id or null")?,
            // What is no context is none: nothing is refused for the sake of a trace.
            trace: trace.and_then(|trace| trace.parse().ok()),
            number,
            report: Report { line, number },
            stop: stopped,
        };
        Ok((ask, stop))
    }

    /// Lets the device do something, unless it may have been done already.
    fn take(&mut self, ask: Ask, stop: Stopper) -> Result<(), Failure> {
        let number = ask.number;
        if number <= *self.after {
            let last = *self.after;
            let message = format!("expected a request after {last}, got {number}");
            return Err(Code::BadMessage.because(message));
        }
        *self.after = number;
        if self.asked.len() >= PROGRAM_REQUESTS_MAX {
            let message = format!("{PROGRAM_REQUESTS_MAX} requests are under way");
            let fields = [of(&number), of("overloaded"), of(&message)];
            return self.out.push(say("throw", fields)?);
        }
        let span = self.session.traced(&ask);
        let trace = span.as_ref().map(Open::context).or(ask.trace);
        let ask = Ask { trace, ..ask };
        let doing = Arc::clone(self.session.device).ask(ask);
        let (working, abort) = AbortHandle::new_pair();
        self.asked.insert(number, (stop, working));
        let out = self.out.clone();
        let doing = async move {
            let doing = AssertUnwindSafe(doing).catch_unwind();
            if let Ok(done) = Abortable::new(doing, abort).await {
                let done = done.unwrap_or_else(|_| Err(Refusal::new("it failed unforeseen")));
                if let Some(span) = span {
                    span.end(done.as_ref().err().map(|refusal| refusal.kind.clone()));
                }
                // Who is gone need not know.
                let _ = answer(&out, number, done).await;
            }
            number
        };
        self.doing.push(Box::pin(doing));
        Ok(())
    }
}

async fn answer(out: &Out, number: u64, done: Result<Parcel, Refusal>) -> Result<(), Failure> {
    let message = match done {
        Ok(value) => say("return", [of(&number), value]),
        Err(Refusal { kind, reason, data }) => {
            say("throw", [of(&number), of(&kind), of(&reason), data])
        }
    };
    let message = message.or_else(|failure| {
        let fields = [of(&number), of(failure.code.as_str()), of(&failure.message)];
        say("throw", fields)
    });
    out.put(message?).await
}

/// A number by which the answer to this hello is known.
fn epoch() -> Result<u64, Failure> {
    let random = random().map_err(|error| Code::Refused.because(error.to_string()))?;
    let number = random
        .iter()
        .take(6)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte));
    Ok(number)
}

fn text(parcel: &Parcel) -> Result<String, Failure> {
    field(parcel, "a text")
}

fn number(parcel: &Parcel) -> Result<u64, Failure> {
    field(parcel, "a request's number")
}
