//! Tabs in Chromium: how soon a tab that joins is there for others, and what a data channel carries with
//! us on it and without. What calls and values cost there stands in files of its own.

mod calls;
mod codec;
pub(crate) mod native;

use std::time::Duration;

use peerage_tests::{Browsers, Relay, Tab, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::client::Failed;
use crate::table::median;

const PAGE: &str = concat!(
    include_str!("page.html"),
    "<script type=module>",
    include_str!("calls.js"),
    "</script><script type=module>",
    include_str!("codec.js"),
    "</script><script type=module>",
    include_str!("native.js"),
    "</script>"
);
/// Chunks on their way through a wire that delays.
const ON_THE_WAY: usize = 1024;

/// Two tabs on a relay, each a browser of its own.
pub(crate) struct Tabs {
    left: Tab,
    right: Tab,
    relay: Relay,
    _browsers: Browsers,
}

/// Milliseconds of one tab that joins, medians.
pub(crate) struct Joined {
    /// Until it is online.
    pub(crate) online: f64,
    /// From then until a peer has answered its first message.
    pub(crate) answered: f64,
    /// From then until the path to that peer is direct.
    pub(crate) direct: f64,
}

impl Tabs {
    pub(crate) async fn open() -> Result<Self, Failed> {
        let (site, listener) = serve::bind().await;
        let relay = Relay::configured(&json!({ "origins": [&site] }));
        let modules = std::env::var("PEERAGE_MODULES")?;
        serve::run_with(listener, PAGE, modules);
        let browsers = Browsers::start().await;
        let page = |name: &str| format!("{site}/?name={name}&relay={}", relay.mesh());
        let right = browsers.open(&page("right")).await;
        let left = browsers.open(&page("left")).await;
        left.until_path("right", "direct").await;
        let tabs = Self {
            left,
            right,
            relay,
            _browsers: browsers,
        };
        let connected = tabs.ask("await connect()").await?;
        if !connected.is_null() {
            return Err(format!("no channel between the tabs: {connected}").into());
        }
        Ok(tabs)
    }

    /// A third node joins from the left tab, over a wire of that delay in each direction.
    pub(crate) async fn join(&self, delay: Duration, rounds: usize) -> Result<Joined, Failed> {
        let address = delayed(self.relay.address.clone(), delay).await?;
        let mut times = [const { Vec::new() }; 3];
        for n in 0..rounds {
            let body = format!("await joining('ws://{address}/mesh', 'fresh-{n}')");
            let found = self.ask(&body).await?;
            if let Some(reason) = found.as_str() {
                return Err(reason.into());
            }
            for (times, found) in times.iter_mut().zip(found.as_array().into_iter().flatten()) {
                times.push(found.as_f64().ok_or("expected milliseconds")?);
            }
        }
        let [online, answered, direct] = times.map(|times| median(times.into_iter()));
        Ok(Joined {
            online,
            answered,
            direct,
        })
    }

    /// Messages a second of this size, by the browser alone and by us, medians of rounds in turn.
    pub(crate) async fn rates(&self, size: usize, rounds: usize) -> Result<[f64; 2], Failed> {
        let mut rates = [const { Vec::new() }; 2];
        for _ in 0..rounds {
            for (name, rates) in ["rawRate", "ourRate"].into_iter().zip(&mut rates) {
                let rate = self.ask(&format!("await {name}({size}, 2000)")).await?;
                rates.push(rate.as_f64().ok_or_else(|| rate.to_string())?);
            }
        }
        Ok(rates.map(|rates| median(rates.into_iter())))
    }

    async fn ask(&self, expression: &str) -> Result<Value, Failed> {
        Ok(self.left.wait_for(&script(expression), vec![]).await)
    }

    /// Numbers that the left tab finds.
    async fn numbers<const N: usize>(&self, expression: &str) -> Result<[f64; N], Failed> {
        let found = self.ask(expression).await?;
        // What is no number in JSON is none.
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let numbers = found
            .as_array()
            .map(|all| all.iter().map(number).collect::<Vec<_>>());
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        Ok(numbers.ok_or_else(|| found.to_string())?)
    }
}

pub(super) fn script(expression: &str) -> String {
    format!(
        "const done = arguments[arguments.length - 1];
        (async () => {expression})().then(done, e => done(`${{e}}`));"
    )
}

/// An address that leads to another, and takes its time in both directions.
async fn delayed(to: String, delay: Duration) -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&to).await else {
                return;
            };
            // What is late shall be late by this alone.
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            pass_on(near_in, far_out, delay);
            pass_on(far_in, near_out, delay);
        }
    });
    Ok(address)
}

fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (tell, mut told) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer).await {
            let chunk = (Instant::now() + delay, buffer[..len].to_vec());
            if tell.send(chunk).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, chunk)) = told.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
}
