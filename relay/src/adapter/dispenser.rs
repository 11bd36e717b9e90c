//! A dispenser, simulated: a valve, and a glass below it. To the node it is as any hardware. It counts what it
//! does, so that one can see that nothing is done twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use peerage::Failure;
use peerage::rpc::Parcel;
use peerage::service::operation::{Progress, Stop};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::line::Report;
use super::schema::Schema;
use super::{Act, Ask, Device, Line, Refusal};

/// Millilitres that run in a second unless another rate is said.
pub const DEFAULT_RATE: f64 = 12.5;
/// How much the glass holds.
const GLASS_ML: f64 = 500.0;
/// How often the glass is looked at while it is filled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const DISPENSER: &str = "Dispenser";
const SIMULATOR: &str = "Simulator";

/// A simulated dispenser.
pub struct Dispenser {
    line: Line,
    schemas: Vec<Arc<Schema>>,
    rate: f64,
    machine: Arc<Mutex<Machine>>,
}

/// How it is.
#[derive(Default)]
struct Machine {
    ml: f64,
    has: Has,
    /// Until the valve is closed: dropped, it is.
    flow: Option<watch::Sender<()>>,
    actuations: u32,
    journal: Option<File>,
}

struct Has {
    water: bool,
    glass: bool,
    board: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Glass {
    ml: f64,
    most: f64,
    is_open: bool,
    has_water: bool,
    has_glass: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Valve {
    is_open: bool,
    times: u32,
}

#[derive(Serialize)]
struct Poured {
    ml: f64,
}

#[derive(Deserialize)]
struct Order {
    ml: f64,
    #[serde(default)]
    label: String,
}

impl Default for Has {
    fn default() -> Self {
        Self {
            water: true,
            glass: true,
            board: true,
        }
    }
}

impl Dispenser {
    /// A dispenser through which so much runs in a second. With a journal, it writes a line there for each time
    /// that its valve opens, before it does.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn new(line: Line, rate: f64, journal: Option<&Path>) -> io::Result<Self> {
        let journal = journal.map(|file| OpenOptions::new().create(true).append(true).open(file));
        let machine = Machine {
            journal: journal.transpose()?,
            ..Machine::default()
        };
        let schemas = [include_str!("dispenser.tau"), include_str!("simulator.tau")];
        let schemas = schemas
            .into_iter()
            .map(|source| Schema::parse(source).map(Arc::new));
        let schemas = schemas
            .collect::<Result<_, Failure>>()
            .map_err(io::Error::other)?;
        let dispenser = Self {
            line,
            schemas,
            rate,
            machine: Arc::new(Mutex::new(machine)),
        };
        dispenser.tell(&dispenser.lock());
        Ok(dispenser)
    }

    /// Lets it run, at once.
    fn begin(
        self: Arc<Self>,
        order: Order,
        ask: Ask,
    ) -> BoxFuture<'static, Result<Parcel, Refusal>> {
        let opened = self.open(&order);
        Box::pin(async move {
            let valve = opened?;
            if order.ml == f64::INFINITY {
                ask.report.accept();
            }
            let ml = valve.run(order.ml, &ask.report, ask.stop).await?;
            drop(valve);
            Ok(Parcel::of(&Poured {
                ml: (ml * 10.0).round() / 10.0,
            })?)
        })
    }

    fn open(self: Arc<Self>, order: &Order) -> Result<Opened, Refusal> {
        let mut machine = self.lock();
        let is_amount = order.ml > 0.0 && (order.ml <= GLASS_ML || order.ml == f64::INFINITY);
        if !is_amount {
            return Err(Refusal::new("errAmount").with(&GLASS_ML));
        }
        machine.check(0.0)?;
        if machine.flow.is_some() {
            return Err(Refusal::new("errBusy"));
        }
        if let Some(journal) = &mut machine.journal {
            let written = writeln!(journal, "{}", order.label);
            written.map_err(|error| Refusal::new(error.to_string()))?;
        }
        machine.actuations += 1;
        let (flow, closed) = watch::channel(());
        machine.flow = Some(flow);
        self.tell_valve(&machine);
        drop(machine);
        Ok(Opened {
            dispenser: self,
            closed,
        })
    }

    fn close(&self) -> bool {
        let mut machine = self.lock();
        let was_open = machine.flow.take().is_some();
        if was_open {
            self.tell_valve(&machine);
        }
        was_open
    }

    fn set(&self, name: &str, value: bool) -> Result<(), Refusal> {
        let mut machine = self.lock();
        match name {
            "hasWater" => machine.has.water = value,
            "hasGlass" => machine.has.glass = value,
            "hasBoard" => machine.has.board = value,
            other => return Err(Refusal::new(format!("there is no `{other}`"))),
        }
        self.tell(&machine);
        Ok(())
    }

    fn tell_valve(&self, machine: &Machine) {
        let (is_open, times) = (machine.flow.is_some(), machine.actuations);
        self.line
            .event(DISPENSER, "valve", &Valve { is_open, times });
        self.tell(machine);
    }

    fn tell(&self, machine: &Machine) {
        let glass = Glass {
            ml: machine.ml,
            most: GLASS_ML,
            is_open: machine.flow.is_some(),
            has_water: machine.has.water,
            has_glass: machine.has.glass,
        };
        self.line.property(DISPENSER, "state", &glass);
        for (name, is) in [
            ("hasWater", machine.has.water),
            ("hasGlass", machine.has.glass),
            ("hasBoard", machine.has.board),
        ] {
            self.line.property(SIMULATOR, name, &is);
        }
        self.line
            .property(SIMULATOR, "actuations", &machine.actuations);
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// Whether it can pour, of which so much has run.
    fn check(&self, ml: f64) -> Result<(), Refusal> {
        let wrong = match &self.has {
            Has { board: false, .. } => "errNoBoard",
            Has { glass: false, .. } => "errNoGlass",
            Has { water: false, .. } => "errNoWater",
            _ if self.ml >= GLASS_ML => "errGlassFull",
            _ => return Ok(()),
        };
        Err(Refusal::new(wrong).with(&Poured { ml }))
    }
}

/// A valve that is open, until this is dropped: a link that ends closes it.
struct Opened {
    dispenser: Arc<Dispenser>,
    closed: watch::Receiver<()>,
}

impl Opened {
    /// Lets it run until so much has, or it is closed; how much has run.
    async fn run(
        &self,
        most: f64,
        report: &Report,
        mut stop: watch::Receiver<Option<Stop>>,
    ) -> Result<f64, Refusal> {
        let (mut ml, mut at, mut closed) = (0.0, Instant::now(), self.closed.clone());
        let rate = self.dispenser.rate;
        loop {
            report.progress(&progress(ml, most, rate));
            let left = Duration::try_from_secs_f64((most - ml) / rate).unwrap_or(LOOK_EVERY);
            let is_closed = tokio::select! {
                () = sleep(left.min(LOOK_EVERY)) => false,
                _ = closed.changed() => true,
                stop = Ask::stopped(&mut stop) => return Err(stop.into()),
            };
            let mut machine = self.dispenser.lock();
            let room = (most - ml).min(GLASS_ML - machine.ml);
            let run = (at.elapsed().as_secs_f64() * rate).min(room);
            at = Instant::now();
            let able = machine.check(ml);
            if able.is_ok() {
                (ml, machine.ml) = (ml + run, machine.ml + run);
                self.dispenser.tell(&machine);
            }
            if is_closed || most - ml < 1e-9 {
                return Ok(ml);
            }
            able?;
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Closed already, it may be open for another.
        if self.closed.has_changed().is_ok() {
            self.dispenser.close();
        }
    }
}

fn progress(ml: f64, most: f64, rate: f64) -> Progress {
    if most.is_infinite() {
        return Progress {
            note: Some(format!("{ml:.0} ml")),
            ..Progress::default()
        };
    }
    Progress {
        fraction: Some(ml / most),
        remaining: Duration::try_from_secs_f64((most - ml) / rate).ok(),
        note: Some(format!("{ml:.0} ml of {most} ml")),
        ..Progress::default()
    }
}

impl Device for Dispenser {
    fn schemas(&self) -> Vec<Arc<Schema>> {
        self.schemas.clone()
    }

    fn ask(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Parcel, Refusal>> {
        let done = match (ask.act, ask.name.as_str()) {
            (Act::Begin, "pour") => match ask.args.read::<Order>() {
                Ok(Order { ml, .. }) if ml.is_infinite() => Err(Refusal::new("errAmount")),
                Ok(order) => return self.begin(order, ask),
                Err(error) => Err(error.into()),
            },
            (Act::Begin, "open") => {
                let label = String::new();
                let ml = f64::INFINITY;
                return self.begin(Order { ml, label }, ask);
            }
            (Act::Begin, "close") => Parcel::of(&self.close()).map_err(Refusal::from),
            (Act::Set, name) => {
                let value = ask.args.read::<bool>().map_err(Refusal::from);
                value
                    .and_then(|value| self.set(name, value))
                    .map(|()| Parcel::default())
            }
            (Act::Call, "empty") => {
                let mut machine = self.lock();
                machine.ml = 0.0;
                self.tell(&machine);
                Ok(Parcel::default())
            }
            (_, other) => Err(Refusal::new(format!("there is no `{other}`"))),
        };
        Box::pin(std::future::ready(done))
    }
}
