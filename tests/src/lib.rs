//! The stage on which end-to-end tests play: a relay process, and browsers with the console in a tab.
//! `cargo xtask test e2e` builds what they need and says where it is.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How often a test looks whether what it waits for has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it looks before it gives up: a machine under load is slow, not wrong.
const LOOKS_MAX: usize = 600;

/// A relay process, which ends with this.
pub struct Relay {
    process: Child,
    /// Address and port.
    pub address: String,
}

impl Relay {
    /// Starts a relay at `address`; port 0 is any that is free.
    pub fn start(address: &str) -> Self {
        let program = std::env::var("PEERAGE_BIN").expect("run this by `cargo xtask test e2e`");
        let mut process = Command::new(program)
            .args(["relay", "--listen", address])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split('/')
            .nth(2)
            .expect("the relay says where it is")
            .to_owned();
        Self { process, address }
    }

    /// The console's address, for a tab that wants this name.
    pub fn console(&self, name: &str) -> String {
        format!("http://{}/?name={name}", self.address)
    }

    /// Ends the process without a word.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// How many bytes it has forwarded.
    pub async fn forwarded_bytes(&self, tab: &Tab) -> u64 {
        let script = "const done = arguments[arguments.length - 1];
            fetch('/api/v1/traffic').then(r => r.json()).then(done);";
        tab.wait_for(script, vec![]).await["forwarded_bytes"]
            .as_u64()
            .unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `ChromeDriver`, which ends with this, and its browsers with it.
pub struct Browsers {
    process: Child,
    address: String,
}

impl Browsers {
    /// Starts it.
    pub async fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let browsers = Self { process, address };
        for _ in 0..LOOKS_MAX {
            if tokio::net::TcpStream::connect(&browsers.address)
                .await
                .is_ok()
            {
                return browsers;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("chromedriver does not answer");
    }

    /// A browser process of its own, with the console in its tab, online.
    pub async fn open(&self, page: &str) -> Tab {
        let profile = tempfile::tempdir().unwrap();
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--allow-loopback-in-peer-connection",
            "--use-fake-ui-for-media-stream",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({ "args": args });
        let capabilities: Capabilities = [("goog:chromeOptions".to_owned(), options)]
            .into_iter()
            .collect();
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities)
            .connect(&format!("http://{}", self.address))
            .await
            .unwrap();
        let tab = Tab {
            client,
            _profile: profile,
        };
        tab.remember_connections().await;
        tab.client.goto(page).await.unwrap();
        tab.until("return !!window.peerage && window.peerage.state === 'online'")
            .await;
        tab
    }
}

impl Drop for Browsers {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tab in a browser of its own.
pub struct Tab {
    /// To do with it what is not provided for here.
    pub client: Client,
    _profile: TempDir,
}

impl Tab {
    /// Runs a command line by the page's node: its result, or its failure's `code`.
    pub async fn run(&self, line: &str) -> Value {
        let script = "const [line, done] = arguments;
            peerage.run(line).then(done, e => done({ code: e.code, message: e.message }));";
        self.wait_for(script, vec![json!(line)]).await
    }

    /// What a script returns.
    pub async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap()
    }

    /// What a script hands to its last argument.
    pub async fn wait_for(&self, script: &str, args: Vec<Value>) -> Value {
        self.client.execute_async(script, args).await.unwrap()
    }

    /// Waits until a script returns something true.
    pub async fn until(&self, script: &str) {
        for _ in 0..LOOKS_MAX {
            if self.ask(script).await == json!(true) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let peers = self
            .ask("return window.peerage && [peerage.state, peerage.peers()]")
            .await;
        let page = self
            .ask("return document.body.innerText.slice(-3000)")
            .await;
        panic!("never true: {script}\npeers: {peers}\npage: {page}");
    }

    /// Waits until what is said to `name` travels by this path.
    pub async fn until_path(&self, name: &str, path: &str) {
        self.until(&format!(
            "return peerage.peers().some(p => p.name === '{name}' && p.path === '{path}')"
        ))
        .await;
    }

    /// The browser's own word on the connections that carry data: each selected pair of candidates
    /// by their types.
    pub async fn selected_pairs(&self) -> Value {
        let script = "const done = arguments[arguments.length - 1];
            (async () => {
                const pairs = [];
                for (const pc of window.connections) {
                    if (pc.connectionState !== 'connected') continue;
                    const stats = await pc.getStats();
                    for (const t of stats.values()) {
                        if (t.type !== 'transport' || !t.selectedCandidatePairId) continue;
                        const pair = stats.get(t.selectedCandidatePairId);
                        pairs.push({ local: stats.get(pair.localCandidateId).candidateType,
                            remote: stats.get(pair.remoteCandidateId).candidateType, state: pair.state });
                    }
                }
                done(pairs);
            })();";
        self.wait_for(script, vec![]).await
    }

    /// Keeps a list of every `RTCPeerConnection` that the page makes.
    async fn remember_connections(&self) {
        let source = "window.connections = [];
            window.RTCPeerConnection = class extends RTCPeerConnection {
                constructor(...args) { super(...args); window.connections.push(this); }
            };";
        let method = "Page.addScriptToEvaluateOnNewDocument";
        let command = DevTools(json!({ "cmd": method, "params": { "source": source } }));
        self.client.issue_cmd(command).await.unwrap();
    }
}

/// A command of the browser's developer tools, by `ChromeDriver`'s extension.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}
