//! The command line of the simulator.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use peerage_sim::marks::{self, Marks};
use peerage_sim::{FIRST_CROWD, Report, Stats, run};

/// Seeds after which every rare thing must have happened at least once.
const MARKS_SEEDS: u64 = 2000;

/// Runs networks of nodes in simulation, and checks that nothing is lost, doubled, forged or stuck.
#[derive(Parser)]
struct Args {
    /// How many seeds to run: 2000, or one of the large.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value = "1", value_parser = seed)]
    first: u64,
    /// Run seeds of thousands of nodes each.
    #[arg(long)]
    large: bool,
    /// Run for so many minutes instead.
    #[arg(long)]
    minutes: Option<u64>,
    /// Run one seed, and print all that its nodes say.
    #[arg(long, value_parser = seed)]
    seed: Option<u64>,
    /// Print the hashes of so many seeds, for comparison with another machine.
    #[arg(long)]
    hashes: Option<u64>,
    /// Show how often each mark was reached.
    #[arg(long)]
    marks: bool,
}

fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

impl Args {
    /// The first seed, and how many.
    fn range(&self) -> (u64, u64) {
        if self.large {
            (FIRST_CROWD + self.first, self.seeds.unwrap_or(1))
        } else {
            (self.first, self.seeds.unwrap_or(MARKS_SEEDS))
        }
    }
}

/// What all threads have found.
#[derive(Default)]
struct Found {
    runs: u64,
    stats: Stats,
    marks: Marks,
    failed: Vec<(u64, String)>,
}

pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        return replay(seed);
    }
    if let Some(count) = args.hashes {
        let pairs: Vec<_> = (1..=count)
            .map(|seed| format!("{seed:x}:{:x}", run(seed).hash))
            .collect();
        println!("{}", pairs.join(","));
        return ExitCode::SUCCESS;
    }
    let start = Instant::now();
    // What a panic says is said again with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let found = many(&args, start);
    report(&args, &found, start.elapsed())
}

fn replay(seed: u64) -> ExitCode {
    let (report, _) = marks::collect(true, || run(seed));
    println!("{:#?}", report.swarm);
    println!(
        "seed {seed:#x}: hash {:x}, {} steps",
        report.hash, report.stats.steps
    );
    match report.stats.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed:#x}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(args: &Args, start: Instant) -> Found {
    let found = Mutex::new(Found::default());
    let (first, count) = args.range();
    let next = AtomicU64::new(first);
    let end = args
        .minutes
        .map(|minutes| start + Duration::from_secs(60 * minutes));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let over = match end {
                        Some(end) => Instant::now() >= end,
                        None => seed - first >= count,
                    };
                    if over {
                        return;
                    }
                    let outcome = attempt(seed);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.add(seed, outcome);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

type Outcome = Result<(Report, Marks), String>;

fn attempt(seed: u64) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| marks::collect(false, || run(seed)))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })
}

impl Found {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        match outcome {
            Err(panic) => self.failed.push((seed, panic)),
            Ok((report, marks)) => {
                self.stats.add(&report.stats);
                for (mark, count) in marks {
                    *self.marks.entry(mark).or_default() += count;
                }
                if let Some(violation) = report.stats.violation {
                    self.failed.push((seed, violation.to_string()));
                }
            }
        }
    }
}

fn report(args: &Args, found: &Found, took: Duration) -> ExitCode {
    let stats = &found.stats;
    println!(
        "{} seeds in {:.1} s: {:.1} peer-hours, {} messages delivered, {} packets, {} faults",
        found.runs,
        took.as_secs_f64(),
        stats.peer_time.as_secs_f64() / 3600.0,
        stats.delivered,
        stats.packets,
        stats.faults.values().sum::<u64>(),
    );
    if args.marks {
        for (mark, count) in &found.marks {
            println!("{count:>9}  {mark}");
        }
        println!("{:?}", stats.faults);
    }
    for (seed, what) in found.failed.iter().take(20) {
        println!("seed {seed:#x}: {what}");
        println!("    replay: cargo xtask sim --seed {seed:#x}");
    }
    let missing = marks::missing(&found.marks);
    if found.runs >= MARKS_SEEDS && !missing.is_empty() {
        println!("never reached: {}", missing.join(", "));
    }
    println!("violations: {}", found.failed.len());
    if found.failed.is_empty() && (found.runs < MARKS_SEEDS || missing.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
