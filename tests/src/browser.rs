//! Browsers, each a process of its own, with a page in a tab.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{LOOK_EVERY, LOOKS_MAX, until};

/// `ChromeDriver`, which ends with this, and its browsers with it.
pub struct Browsers {
    process: Child,
    address: String,
    /// What browsers that are killed leave behind, which goes with this.
    _left: TempDir,
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
        let left = tempfile::tempdir().unwrap();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("TMPDIR", left.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        until("chromedriver answers", async || {
            tokio::net::TcpStream::connect(&address).await.is_ok()
        })
        .await;
        Self {
            process,
            address,
            _left: left,
        }
    }

    /// A browser process of its own, with this page in its tab, whose node is online.
    pub async fn open(&self, page: &str) -> Tab {
        let tab = self.show(page).await;
        tab.until_online().await;
        tab
    }

    /// As [`Browsers::open`], for a page that has no node.
    pub async fn show(&self, page: &str) -> Tab {
        let profile = tempfile::tempdir().unwrap();
        let args = [
            "--headless=new",
            // What the collector frees is to be seen when a test asks for it.
            "--js-flags=--expose-gc",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Nothing else is there to be found, and to look for it takes the browser 13 s.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE *.local",
            "--allow-loopback-in-peer-connection",
            "--use-fake-ui-for-media-stream",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({ "args": args });
        // A machine under load is slow, not wrong.
        let timeouts = json!({ "script": 120_000 });
        let capabilities: Capabilities = [
            ("goog:chromeOptions".to_owned(), options),
            ("timeouts".to_owned(), timeouts),
        ]
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
        tab
    }
}

impl Drop for Browsers {
    fn drop(&mut self) {
        // Killed alone, it would leave its browsers behind: they are of its group.
        let group = format!("kill -s KILL -- -{}", self.process.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a mouse does: a button of it is down from `Down` to `Up`, and moved by `Drag`.
#[derive(Clone, Copy, Debug)]
pub enum Mouse {
    /// Moves, with no button down.
    Move,
    /// Presses the left button.
    Down,
    /// Moves, with the left button down.
    Drag,
    /// Lets it go.
    Up,
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

    /// Presses these keys one after the other, wherever the focus is.
    pub async fn press(&self, keys: &[&str]) {
        for key in keys {
            let focused = self.client.active_element().await.unwrap();
            focused.send_keys(key).await.unwrap();
        }
    }

    /// What a mouse does at this place of the page.
    pub async fn mouse(&self, what: Mouse, (x, y): (f64, f64)) {
        let (kind, button, buttons) = match what {
            Mouse::Down => ("mousePressed", "left", 1),
            Mouse::Drag => ("mouseMoved", "left", 1),
            Mouse::Up => ("mouseReleased", "left", 0),
            Mouse::Move => ("mouseMoved", "none", 0),
        };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 });
        self.tell("Input.dispatchMouseEvent", event).await;
    }

    /// Types a line at the console's prompt, which has the focus.
    pub async fn type_line(&self, line: &str) {
        self.press(&[line, &(Key::Enter + "")]).await;
    }

    /// Waits until the console shows that many results.
    pub async fn until_results(&self, count: usize) {
        let results = r#"document.querySelectorAll('[data-testid="result"]').length"#;
        self.until(&format!("return {results} === {count}")).await;
    }

    /// Waits until the console offers this to complete what is typed.
    pub async fn until_candidate(&self, text: &str) {
        let buttons = r#"[...document.querySelectorAll('[data-testid="candidates"] button')]"#;
        self.until(&format!(
            "return {buttons}.some(b => b.textContent === '{text}')"
        ))
        .await;
    }

    /// Waits until the page's node is online.
    pub async fn until_online(&self) {
        self.until("return !!window.peerage && window.peerage.state === 'online'")
            .await;
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

    /// Shows the page as on a screen of this size, in CSS pixels, whose user prefers `light` or
    /// `dark`.
    pub async fn resize(&self, width: u32, height: u32, scheme: &str) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tell("Emulation.setDeviceMetricsOverride", screen)
            .await;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await;
    }

    /// Keeps a list of every `RTCPeerConnection` that the page makes.
    async fn remember_connections(&self) {
        let source = "window.connections = [];
            window.RTCPeerConnection = class extends RTCPeerConnection {
                constructor(...args) { super(...args); window.connections.push(this); }
            };";
        let script = json!({ "source": source });
        self.tell("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
    }

    async fn tell(&self, command: &str, params: Value) {
        let command = DevTools(json!({ "cmd": command, "params": params }));
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
