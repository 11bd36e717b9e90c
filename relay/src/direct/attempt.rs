//! One attempt of a tab at a direct link, from the offer to the end of the link that comes of it.

use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{CANDIDATES_MAX, WEBRTC_OPEN_TIMEOUT};
use peerage::node::Stream;
use peerage::service::signal::{PROTOCOL, Signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::direct::Direct;
use crate::link::webrtc::{Connection, Told};

/// Answers what the tab says, until the link is no more. `ended` says that it is to make way, or that the tab has
/// begun anew.
///
/// # Errors
/// Why there is no link.
pub(super) async fn run(
    direct: &Direct,
    theirs: &Stream,
    mut ended: oneshot::Receiver<()>,
) -> Result<(), Failure> {
    let ours = direct.0.node.open(theirs.peer(), PROTOCOL)?;
    let mut attempt = Attempt {
        direct,
        theirs,
        ours: &ours,
        connection: None,
        candidates: Vec::new(),
        heard: 0,
    };
    let deadline = Instant::now() + WEBRTC_OPEN_TIMEOUT;
    let mut open = false;
    loop {
        tokio::select! {
            anew = &mut ended => {
                if anew.is_ok() {
                    return Ok(());
                }
                let failure = Code::Overloaded.because("the direct link is needed no more");
                theirs.reset(failure.clone());
                ours.reset(failure);
                return Ok(());
            }
            message = theirs.recv() => match message? {
                Some(message) => attempt.hear(Signal::decode(&message)?).await?,
                None => return Ok(()),
            },
            told = attempt.told() => match told {
                Told::Open => open = true,
                Told::Closed if open => return Ok(()),
                Told::Closed => return Err(Code::Unreachable.because("the connection has failed")),
            },
            () = sleep_until(deadline), if !open => {
                return Err(Code::TimedOut.because("it took too long"));
            }
        }
    }
}

struct Attempt<'a> {
    direct: &'a Direct,
    theirs: &'a Stream,
    ours: &'a Stream,
    connection: Option<Connection>,
    /// Those that came before the offer.
    candidates: Vec<String>,
    heard: usize,
}

impl Attempt<'_> {
    async fn hear(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal {
            Signal::Offer(offer) if self.connection.is_none() => self.answer(offer).await?,
            Signal::Candidate { candidate, .. } if self.heard < CANDIDATES_MAX => {
                self.heard += 1;
                match &self.connection {
                    Some(connection) => connection.candidate(candidate),
                    None => self.candidates.push(candidate),
                }
            }
            // One more offer would be for another connection, and nobody here has offered.
            Signal::Offer(_) | Signal::Answer(_) | Signal::Candidate { .. } => {}
        }
        Ok(())
    }

    async fn answer(&mut self, offer: String) -> Result<(), Failure> {
        let port = self.direct.port()?;
        self.direct.see_itself(&port).await;
        let (connection, answer) = port.answer(self.theirs.peer(), offer).await?;
        for candidate in std::mem::take(&mut self.candidates) {
            connection.candidate(candidate);
        }
        self.connection = Some(connection);
        self.ours.send(Signal::Answer(answer).encode()).await
    }

    async fn told(&mut self) -> Told {
        match &mut self.connection {
            Some(connection) => connection.told().await,
            None => std::future::pending().await,
        }
    }
}
