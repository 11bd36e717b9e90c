//! Requests by HTTP: to a back end itself, through nginx, and through the mesh at `/n/{name}/`. The back end is one
//! process, of which a part is a node.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::future::try_join_all;
use futures_util::stream;
use peerage::{Config, Kind};
use peerage_relay::Node;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Failed;
use crate::load::quantile;
use crate::server::{Server, System, cpu_of, free_address};
use crate::table::{heading, median, row};

/// The back end's name in the mesh.
const NAME: &str = "web";
/// How long a rate is measured.
const WHILE: Duration = Duration::from_secs(3);
/// Callers at once, each with a connection of its own.
const CALLERS: usize = 32;
const PIECE: Bytes = Bytes::from_static(&[7; 64 * 1024]);
/// Bytes of the large body.
const LARGE: usize = 1 << 30;

/// Is the back end, until it is killed.
pub(crate) async fn serve(address: SocketAddr, relay: &str) -> Result<(), Failed> {
    let small = Bytes::from_static(&[7; 1024]);
    let pieces =
        || stream::iter((0..LARGE / PIECE.len()).map(|_| Ok::<_, std::convert::Infallible>(PIECE)));
    let site = Router::new()
        .route("/small", get(move || async move { small }))
        .route(
            "/large",
            get(move || async move { Body::from_stream(pieces()) }),
        );
    let node = Node::join(
        Config::new(Kind::Native).named(NAME.parse()?),
        vec![relay.parse()?],
    )
    .await?;
    node.serve(site.clone());
    let listener = TcpListener::bind(address).await?;
    Ok(axum::serve(listener, site).await?)
}

/// What is asked, and the process between.
struct Way {
    name: &'static str,
    address: SocketAddr,
    prefix: String,
    process: Option<u32>,
}

/// A process that ends with this.
struct Held(Child, Option<TempDir>);

impl Drop for Held {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
        // Its files, once nobody writes them.
        drop(self.1.take());
    }
}

/// All ways in turn, round by round.
pub(crate) async fn measure(relay: &Path, rounds: usize) -> Result<Value, Failed> {
    let server = Server::start(System::Peerage, relay)?;
    let backend = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["backend", &backend.to_string(), &server.url]);
    let _backend = Held(command.spawn()?, None);
    until_up(backend).await?;
    let (nginx, held) = start_nginx(backend)?;
    until_up(nginx).await?;
    let ways = [
        Way {
            name: "back end itself",
            address: backend,
            prefix: String::new(),
            process: None,
        },
        Way {
            name: "nginx",
            address: nginx,
            prefix: String::new(),
            process: None,
        },
        Way {
            name: "peerage",
            address: server.address,
            prefix: format!("/n/{NAME}"),
            process: Some(server.id()),
        },
    ];
    let mut found = vec![[const { Vec::new() }; 4]; ways.len()];
    for _ in 0..rounds {
        for (way, found) in ways.iter().zip(&mut found) {
            let request = way.request("/small");
            let times = calls(way, &request, 1).await?;
            found[0].push(quantile(&times, 0.5));
            found[1].push(quantile(&times, 0.99));
            found[2].push(calls(way, &request, CALLERS).await?.len() as f64 / WHILE.as_secs_f64());
            found[3].push(large(way).await?);
        }
    }
    drop(held);
    heading(
        "http",
        &["p50 us", "p99 us", "requests/s", "ratio to nginx", "MB/s"],
    );
    let medians = found.iter().map(|found| {
        found
            .each_ref()
            .map(|values| median(values.iter().copied()))
    });
    let medians: Vec<_> = medians.collect();
    let floor = medians[1][2];
    let rows = ways.iter().zip(medians).map(|(way, [p50, p99, rate, large])| {
        row(way.name, &[p50, p99, rate, rate / floor, large]);
        json!({ "way": way.name, "p50Micros": p50, "p99Micros": p99, "perSecond": rate, "ratio": rate / floor, "largeMegabytesPerSecond": large })
    });
    let rows = rows.collect();
    for way in &ways {
        if let Some(process) = way.process {
            println!(
                "  the relay's processor time in all: {:.1} s",
                cpu_of(&process.to_string())
            );
        }
    }
    Ok(rows)
}

impl Way {
    fn request(&self, path: &str) -> String {
        format!(
            "GET {}{path} HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.prefix, self.address
        )
    }
}

/// How long each of the calls took that were made in a while, sorted, in microseconds.
async fn calls(way: &Way, request: &str, callers: usize) -> Result<Vec<f64>, Failed> {
    let end = Instant::now() + WHILE;
    let calling = (0..callers).map(|_| async {
        let mut caller = TcpStream::connect(way.address).await?;
        caller.set_nodelay(true)?;
        let (mut times, mut buffer) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            let start = Instant::now();
            caller.write_all(request.as_bytes()).await?;
            answer(&mut caller, &mut buffer).await?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        Ok::<_, Failed>(times)
    });
    let mut times = try_join_all(calling).await?.concat();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Reads one answer of a known length.
async fn answer(caller: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), Failed> {
    buffer.clear();
    loop {
        if caller.read_buf(buffer).await? == 0 {
            return Err("the connection has ended".into());
        }
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("an answer without a length")?.parse()?;
        if !text.starts_with("http/1.1 200") {
            return Err(text.into());
        }
        if buffer.len() >= head + 4 + length {
            return Ok(());
        }
    }
}

/// Megabytes a second of a large answer.
async fn large(way: &Way) -> Result<f64, Failed> {
    let mut caller = TcpStream::connect(way.address).await?;
    let request = way
        .request("/large")
        .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let start = Instant::now();
    caller.write_all(request.as_bytes()).await?;
    let (mut bytes, mut buffer) = (0, vec![0; 256 * 1024]);
    loop {
        match caller.read(&mut buffer).await? {
            0 if bytes >= LARGE => return Ok(LARGE as f64 / 1e6 / start.elapsed().as_secs_f64()),
            0 => return Err("a large answer has ended early".into()),
            read => bytes += read,
        }
    }
}

fn start_nginx(backend: SocketAddr) -> Result<(SocketAddr, Held), Failed> {
    let (address, folder) = (free_address()?, tempfile::tempdir()?);
    let config = format!(
        "daemon off; worker_processes auto; pid nginx.pid; error_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\n\
         upstream web {{ server {backend}; keepalive 64; }}\n\
         server {{ listen {address}; keepalive_requests 100000000;\n\
         location / {{ proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let process = Command::new("nginx")
        .arg("-p")
        .arg(folder.path())
        .args(["-c", "nginx.conf"])
        // Debian keeps it where users do not look.
        .env("PATH", format!("{path}:/usr/sbin"))
        .stderr(Stdio::null())
        .spawn()?;
    Ok((address, Held(process, Some(folder))))
}

async fn until_up(address: SocketAddr) -> Result<(), Failed> {
    let start = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("nobody listens at {address}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
