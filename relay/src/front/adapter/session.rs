//! A conversation with an adapter: hello, the wait for its node, and what both say while it is linked.

use std::sync::Arc;

use bytes::Bytes;
use peerage::error::Code;
use peerage::limits::{ADAPTER_KEEPALIVE, ADAPTER_SILENCE_MAX, PROGRAM_HELLO_TIMEOUT};
use peerage::log::{CONNECTION, MESSAGE};
use peerage::rpc::{Act, Parcel};
use peerage::service::broker::Publish;
use peerage::{Failure, Name};
use serde::Serialize;
use tokio::io::AsyncRead;
use tokio::time::timeout;

use super::link::Linked;
use super::owner::Owner;
use super::stand::Stand;
use super::{Front, Shared};
use crate::adapter::frame::{FrameError, Framing, Reader};
use crate::adapter::hello::{About, Announced, VERSION, Welcome};
use crate::adapter::schema::Schema;
use crate::front::out::Out;
use crate::front::program::wire::{self, Said, of, refused, say};
use crate::front::program::{Requests, log};

/// Who has said hello, and may be here.
pub(super) struct Hello {
    pub(super) name: Name,
    pub(super) about: About,
    pub(super) schemas: Vec<Arc<Schema>>,
}

/// What comes after a conversation.
enum Next {
    /// The adapter has begun anew.
    Hello(Said),
    /// It has gone.
    Gone,
}

/// Speaks with an adapter until its line ends. On a serial line, which has no beginning, one may follow another.
pub(super) async fn run<R>(front: &Front, mut reader: Reader<R>, out: &Out)
where
    R: AsyncRead + Unpin,
{
    let mut said = None;
    loop {
        let ended = match said.take() {
            Some(said) => converse(front, said, &mut reader, out).await,
            None => first(&mut reader).await,
        };
        match ended {
            Ok(Next::Hello(hello)) => said = Some(hello),
            Ok(Next::Gone) => return,
            Err(failure) => {
                tracing::debug!(target: CONNECTION, code = %failure.code, why = failure.message, "an adapter is refused");
                // Who is gone need not know.
                if let Ok(message) = refused(&failure) {
                    let _ = out.put(message).await;
                }
                if reader.framing() == Framing::Length {
                    return;
                }
            }
        }
    }
}

/// Waits for the first hello. On a serial line it may come at any time.
async fn first<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> Result<Next, Failure> {
    if reader.framing() == Framing::Length {
        let next = timeout(PROGRAM_HELLO_TIMEOUT, hear(reader)).await;
        let next = next.map_err(|_| Code::TimedOut.because("expected `hello`"))?;
        return match next? {
            Some(hello @ Said::Hello { .. }) => Ok(Next::Hello(hello)),
            Some(_) => Err(Code::BadMessage.because("expected `hello` first")),
            None => Ok(Next::Gone),
        };
    }
    loop {
        match hear(reader).await {
            Ok(Some(hello @ Said::Hello { .. })) => return Ok(Next::Hello(hello)),
            Ok(None) => return Ok(Next::Gone),
            // What is left of something else.
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

/// The next message; `None` if the line has ended.
async fn hear<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> Result<Option<Said>, Failure> {
    match reader.next().await {
        Ok(message) => wire::read(&message).map(Some),
        Err(FrameError::Ended | FrameError::Io(_)) => Ok(None),
        Err(error @ FrameError::TooLarge { .. }) => Err(Code::TooLarge.because(error.to_string())),
        Err(error @ FrameError::Lost { .. }) => Err(Code::Gone.because(error.to_string())),
    }
}

/// From a hello to the end of what begins with it.
async fn converse<R>(
    front: &Front,
    said: Said,
    reader: &mut Reader<R>,
    out: &Out,
) -> Result<Next, Failure>
where
    R: AsyncRead + Unpin,
{
    let hello = front.0.accepted(said)?;
    let mut owner = Owner::new(front.0.node.clone(), hello.about.node.clone());
    loop {
        if let Some(next) = wait(&mut owner, &hello, reader, out).await? {
            return Ok(next);
        }
        let linking = timeout(PROGRAM_HELLO_TIMEOUT, front.0.stands.link(&hello, out)).await;
        let late = |_| Code::TimedOut.because("the mesh is slow");
        let (stand, linked) = linking.map_err(late)??;
        out.push(welcome(&hello, &stand)?)?;
        let name = hello.name.as_str();
        tracing::info!(target: CONNECTION, adapter = name, "an adapter is linked");
        let session = Session {
            stand: &stand,
            linked: &linked,
            out,
            requests: Requests::default(),
        };
        let next = session.run(&mut owner, reader).await;
        stand.link.end(Some(&linked.desk));
        front.0.stands.keep(&hello.name, &stand);
        tracing::info!(target: CONNECTION, adapter = name, "an adapter is no longer linked");
        if let Some(next) = next? {
            return Ok(next);
        }
    }
}

/// Waits until the adapter's node is here. What ends this is told.
async fn wait<R: AsyncRead + Unpin>(
    owner: &mut Owner,
    hello: &Hello,
    reader: &mut Reader<R>,
    out: &Out,
) -> Result<Option<Next>, Failure> {
    if timeout(std::time::Duration::ZERO, owner.until(true))
        .await
        .is_ok()
    {
        return Ok(None);
    }
    let mut pulse = tokio::time::interval(ADAPTER_KEEPALIVE);
    loop {
        tokio::select! {
            () = owner.until(true) => return Ok(None),
            said = hear(reader) => match said? {
                None => return Ok(Some(Next::Gone)),
                Some(hello @ Said::Hello { .. }) => return Ok(Some(Next::Hello(hello))),
                Some(Said::Ping) => out.push(say("pong", [])?)?,
                // From before it knew that it has to wait.
                Some(_) => {}
            },
            // Said again and again: a serial line may lose it.
            _ = pulse.tick() => {
                out.push(say("waiting", [of(&hello.about.node)])?)?;
                alive(reader.silence(), out)?;
            }
        }
    }
}

/// Asks for a sign of life, where there was none for a while.
fn alive(silence: std::time::Duration, out: &Out) -> Result<(), Failure> {
    if silence > ADAPTER_SILENCE_MAX {
        return Err(Code::Gone.because("the adapter is silent"));
    }
    if silence >= ADAPTER_KEEPALIVE / 2 {
        out.push(say("ping", [])?)?;
    }
    Ok(())
}

fn welcome(hello: &Hello, stand: &Stand) -> Result<Bytes, Failure> {
    let interfaces = hello.schemas.iter().map(|schema| Announced {
        name: schema.name().to_owned(),
        version: schema.interface.version,
        hash: schema.hash.clone(),
        schema: None,
    });
    let welcome = Welcome {
        epoch: hello.about.epoch,
        version: VERSION,
        interfaces: interfaces.collect(),
    };
    let (name, id) = (stand.held.name(), stand.held.id().to_string());
    let name = name.as_ref().map(Name::as_str);
    say("welcome", [of(&name), of(&id), of(&welcome)])
}

/// An adapter that is linked.
struct Session<'a> {
    stand: &'a Stand,
    linked: &'a Linked,
    out: &'a Out,
    requests: Requests,
}

impl Session<'_> {
    /// Hears what it says until it goes, or its node does.
    async fn run<R: AsyncRead + Unpin>(
        self,
        owner: &mut Owner,
        reader: &mut Reader<R>,
    ) -> Result<Option<Next>, Failure> {
        let mut pulse = tokio::time::interval(ADAPTER_KEEPALIVE);
        loop {
            tokio::select! {
                said = hear(reader) => match said? {
                    None => return Ok(Some(Next::Gone)),
                    Some(hello @ Said::Hello { .. }) => return Ok(Some(Next::Hello(hello))),
                    Some(said) => self.hear(said)?,
                },
                () = owner.until(false) => return Ok(None),
                () = self.linked.cut.cancelled() => {
                    return Err(Code::Refused.because("another has taken its place"));
                }
                _ = pulse.tick() => alive(reader.silence(), self.out)?,
            }
        }
    }

    fn hear(&self, said: Said) -> Result<(), Failure> {
        let desk = &self.linked.desk;
        match said {
            Said::Hello { .. } | Said::Pong => {}
            Said::Offer { .. } | Said::Operation { .. } => {
                let message = "expected no offer: interfaces are announced in `hello`";
                return Err(Code::BadMessage.because(message));
            }
            Said::Property { agent, name, value } => {
                let (handle, offered) = self.stand.interface(&agent)?;
                offered.set(&name, value.clone())?;
                handle.emitter().tell(Act::Watch, &name, value);
            }
            Said::Emit {
                agent,
                event,
                detail,
            } => self.emit(&agent, &event, detail)?,
            Said::Answer { of, answer } => desk.answer(of, answer),
            Said::Progress { of, progress } => desk.progress(of, progress),
            Said::Accept { of } => desk.accept(of),
            Said::Log { level, text } => log(&self.stand.held, &level, &text),
            Said::Ping => self.out.push(say("pong", [])?)?,
            Said::Ask { id, what } => self.requests.ask(&self.stand.held, self.out, id, what)?,
            Said::Cancel { id } => self.requests.cancel(self.out, id)?,
            Said::Stop { id, kind, reason } => self.requests.stop(id, &kind, reason)?,
        }
        Ok(())
    }

    /// Tells an event to those who listen, and the zone under `NAME/INTERFACE/EVENT`.
    fn emit(&self, agent: &str, event: &str, detail: Parcel) -> Result<(), Failure> {
        let (handle, offered) = self.stand.interface(agent)?;
        offered.check_event(event, &detail)?;
        let name = self.stand.held.name();
        let topic = format!("{}/{agent}/{event}", name.as_ref().map_or("", Name::as_str));
        let topics = self.stand.held.topics();
        // Nobody waits for the broker to have it.
        if let Err(failure) = topics.publish_value(&topic, detail.value(), Publish::default()) {
            tracing::debug!(target: MESSAGE, code = %failure.code, topic, "an event is not published");
        }
        handle.emitter().tell(Act::Subscribe, event, detail);
        Ok(())
    }
}

impl Hello {
    /// What others may know of it.
    pub(super) fn shown(&self) -> impl Serialize {
        About {
            token: None,
            epoch: 0,
            after: 0,
            ..self.about.clone()
        }
    }
}

impl Shared {
    /// Who has said hello, if it may be here and all that it says can be understood.
    fn accepted(&self, said: Said) -> Result<Hello, Failure> {
        let Said::Hello {
            version,
            name,
            more,
        } = said
        else {
            return Err(Code::BadMessage.because("expected `hello`"));
        };
        if version != VERSION {
            let message = format!("expected version {VERSION}, got {version}");
            return Err(Code::IncompatibleVersion.because(message));
        }
        let wrong = |error: String| Code::BadMessage.because(format!("hello: {error}"));
        let about: About = more.read().map_err(|error| wrong(error.to_string()))?;
        if !about.is_bounded() {
            return Err(Code::TooLarge.because("hello: expected shorter texts, fewer interfaces"));
        }
        self.check_token(about.token.as_deref())?;
        let name = name.ok_or_else(|| wrong("expected a name".into()))?;
        let name = name
            .parse::<Name>()
            .map_err(|error| wrong(error.to_string()))?;
        let schemas = about
            .interfaces
            .iter()
            .map(|announced| self.schema(announced));
        let schemas: Vec<_> = schemas.collect::<Result<_, _>>()?;
        check_names(&schemas)?;
        Ok(Hello {
            name,
            about,
            schemas,
        })
    }

    /// The schema of an interface: the adapter's own, unless there is one of its name here.
    fn schema(&self, announced: &Announced) -> Result<Arc<Schema>, Failure> {
        let Announced {
            name,
            version,
            hash,
            schema,
        } = announced;
        let schema = match self.schemas.get(name) {
            Some(known) => Arc::clone(known),
            None => {
                let unknown = || Code::Refused.because(format!("there is no schema of `{name}`"));
                Arc::new(Schema::parse(schema.as_deref().ok_or_else(unknown)?)?)
            }
        };
        if schema.interface.version != *version || schema.hash != *hash {
            let said =
                |version: Option<u32>| version.map_or_else(|| "none".into(), |v| v.to_string());
            let (here, there) = (said(schema.interface.version), said(*version));
            let message = format!(
                "{name}: expected version {here} of schema {}, got {there} of {hash:.64}",
                schema.hash
            );
            return Err(Code::IncompatibleVersion.because(message));
        }
        if schema.name() != name {
            let message = format!("expected the schema of `{name}`, got `{}`", schema.name());
            return Err(Code::BadMessage.because(message));
        }
        Ok(schema)
    }
}

/// Interfaces and operations of one adapter each have names of their own.
fn check_names(schemas: &[Arc<Schema>]) -> Result<(), Failure> {
    let operations = schemas.iter().flat_map(|schema| schema.operations());
    let mut all: Vec<_> = operations
        .map(|method| ("operation", method.name.as_str()))
        .collect();
    all.extend(schemas.iter().map(|schema| ("interface", schema.name())));
    all.sort_unstable();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some([(what, name), _]) => {
            Err(Code::BadMessage.because(format!("expected one {what} `{name}`, got two")))
        }
        _ => Ok(()),
    }
}
