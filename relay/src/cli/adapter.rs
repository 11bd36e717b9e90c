//! `peerage adapter`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use peerage::Name;
use tokio::sync::oneshot;

use crate::adapter::dispenser::{DEFAULT_RATE, Dispenser};
use crate::adapter::modbus::{Map, Modbus};
use crate::adapter::scpi::{Port, Scpi};
use crate::adapter::{self, Address, Device, Line, Settings};
use crate::cli::stop::stop_signal;
use crate::cli::{CliError, Outcome, say};
use crate::config::{OtlpAddress, TracesConfig};
use crate::front::adapter::SUPERVISED;
use crate::runtime::random;
use crate::trace::Traces;

/// The variable of the environment that says where traces go (OpenTelemetry, *OTLP exporter*).
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Run an adapter: hardware, or a simulation of it, as a node.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// A dispenser that is simulated: a valve, and a glass below it.
    Dispenser {
        #[command(flatten)]
        common: Common,
        /// Millilitres that run in a second.
        #[arg(long, value_name = "ML", default_value_t = DEFAULT_RATE)]
        rate: f64,
        /// A file to which it adds a line for each time that its valve opens.
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// A device that speaks Modbus TCP: its coils and registers as properties.
    Modbus {
        #[command(flatten)]
        common: Common,
        /// Where the device is, and what its coils and registers are, in JSON.
        #[arg(long, value_name = "FILE")]
        map: PathBuf,
    },
    /// An instrument that answers lines of text (SCPI).
    Scpi {
        #[command(flatten)]
        common: Common,
        /// Where it is: the path of a serial device, which may end in @BAUD, or tcp:HOST:PORT.
        #[arg(long, value_name = "PLACE")]
        device: Port,
    },
}

#[derive(clap::Args)]
struct Common {
    /// The name to ask for [default: the kind].
    #[arg(long)]
    name: Option<String>,
    /// Where adapters connect: HOST:PORT, unix:PATH or serial:PATH, which may end in @BAUD.
    #[arg(long, value_name = "PLACE", default_value = "127.0.0.1:10001")]
    connect: Address,
    /// The node that it works for: until that is in the mesh, it waits [default: that to which it connects].
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Which one of its sort it is: who comes back with the same is the same [default: random].
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// A file with what those know who may be adapters.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A collector that speaks OTLP over HTTP, to which it tells its part of traces [default:
    /// OTEL_EXPORTER_OTLP_ENDPOINT].
    #[arg(long, value_name = "URL")]
    traces: Option<OtlpAddress>,
}

pub(super) async fn run(args: Args) -> Outcome {
    let line = Line::default();
    let (kind, common, device): (_, _, Arc<dyn Device>) = match args.kind {
        Kind::Dispenser {
            common,
            rate,
            journal,
        } => {
            if !(rate > 0.0 && rate.is_finite()) {
                let message = format!("--rate: expected a number above 0, got {rate}");
                return Err(CliError::Adapter(message));
            }
            let dispenser = Dispenser::new(line.clone(), rate, journal.as_deref());
            let dispenser = dispenser.map_err(|error| CliError::Adapter(error.to_string()))?;
            ("dispenser", common, Arc::new(dispenser))
        }
        Kind::Modbus { common, map } => {
            let text = read(&map)?;
            let wrong = |error| CliError::Adapter(format!("{}: {error}", map.display()));
            let map = Map::parse(&text).map_err(wrong)?;
            let modbus = Modbus::new(line.clone(), map).map_err(wrong)?;
            ("modbus", common, Arc::new(modbus))
        }
        Kind::Scpi { common, device } => {
            let scpi = Scpi::new(line.clone(), device);
            let scpi = scpi.map_err(|failure| CliError::Adapter(failure.to_string()))?;
            ("scpi", common, Arc::new(scpi))
        }
    };
    let traces = Traces::open(&TracesConfig {
        otlp: common.collector()?,
        ..TracesConfig::default()
    });
    let settings = Settings {
        tracer: traces.clone().map(|traces| traces as _),
        ..common.settings(kind)?
    };
    tokio::select! {
        () = adapter::run(settings, line, device, |state| say(&state.to_string())) => {}
        () = stop_signal() => {}
        () = orphaned() => {}
    }
    if let Some(traces) = traces {
        traces.flush().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until whoever supervises this process is no more, if somebody does.
async fn orphaned() {
    if std::env::var_os(SUPERVISED).is_none() {
        return std::future::pending().await;
    }
    let (tell, told) = oneshot::channel();
    // A thread of its own: nothing that ends waits for it.
    std::thread::spawn(move || {
        // Nothing is said there; the end is all that matters.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        tell.send(())
    });
    let _ = told.await;
}

impl Common {
    /// Where its part of traces goes.
    fn collector(&self) -> Result<Option<OtlpAddress>, CliError> {
        let stated = std::env::var(COLLECTOR).unwrap_or_default();
        let wrong = |error| CliError::Adapter(format!("{COLLECTOR}: {error}"));
        match (&self.traces, &*stated) {
            (Some(traces), _) => Ok(Some(traces.clone())),
            (None, "") => Ok(None),
            (None, stated) => stated.parse().map(Some).map_err(wrong),
        }
    }

    fn settings(self, kind: &str) -> Result<Settings, CliError> {
        let token = self.token_file.as_deref().map(read).transpose()?;
        let name = self.name.as_deref().unwrap_or(kind);
        let instance = match self.instance {
            Some(instance) => instance,
            None => {
                let drawn = random().map_err(crate::JoinError::from)?;
                data_encoding::HEXLOWER.encode(&drawn[..8])
            }
        };
        Ok(Settings {
            name: name.parse::<Name>()?,
            kind: kind.to_owned(),
            instance,
            node: self.node,
            token: token.map(|token| token.trim().to_owned()),
            address: self.connect,
            tracer: None,
        })
    }
}

fn read(file: &Path) -> Result<String, CliError> {
    let read = std::fs::read_to_string(file);
    read.map_err(|source: io::Error| CliError::Read {
        file: file.into(),
        source,
    })
}
