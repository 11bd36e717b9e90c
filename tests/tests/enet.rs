//! Stock ENet, as Debian has it, as the other end of ours: each row of what being compatible means,
//! in each way in which datagrams are written. The table goes to standard error;
//! `PEERAGE_ENET_ROW` chooses the rows whose name contains it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "enet/cases.rs"]
mod cases;
#[path = "enet/hostile.rs"]
mod hostile;
#[path = "enet/ours.rs"]
mod ours;
#[path = "enet/stock.rs"]
mod stock;
#[path = "enet/way.rs"]
mod way;

use cases::CASES;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use stock::Mode;

const MODES: [(&str, Mode); 4] = [
    ("plain", mode(false, false)),
    ("checksum", mode(true, false)),
    ("compressed", mode(false, true)),
    ("both", mode(true, true)),
];

/// What belongs to being compatible and is no row, and why.
const ELSEWHERE: [(&str, &str); 8] = [
    (
        "unreliable packets that are late or doubled",
        "how many a stock sender's throttle lets pass is not to be foreseen: enet/tests/packets.rs",
    ),
    (
        "datagrams with and without a time, cut short, or of nobody",
        "no stock host can be made to write them: enet/tests/hostile.rs, and the fuzzer's target `enet`",
    ),
    (
        "more than 4,095 peers",
        "a stock host cannot have them: enet/tests/connections.rs",
    ),
    (
        "packets of 32 MiB",
        "stock takes half a minute for one in a debug build of ours; 10 MB here, more in enet/tests/packets.rs",
    ),
    (
        "what waits is bounded, for one and for all",
        "stock senders keep to its limits: enet/tests/hostile.rs",
    ),
    (
        "lost unreliable fragments do not stop a connection",
        "they stop one of stock's, so it cannot be the other end: enet/tests/hostile.rs",
    ),
    ("IPv6", "stock has none: enet/tests/connections.rs"),
    (
        "encryption, access",
        "ENet has none; sessions above it have",
    ),
];

#[test]
fn stock_enet_and_ours_understand_each_other_in_every_row() {
    let mut table = String::from("\n");
    let mut failed = Vec::new();
    let only = std::env::var("PEERAGE_ENET_ROW").unwrap_or_default();
    for (name, case) in CASES.iter().filter(|(name, _)| name.contains(&only)) {
        table += &format!("{name:<72}");
        for (mode_name, mode) in MODES {
            let is_fine = catch_unwind(AssertUnwindSafe(|| case(mode))).is_ok();
            let verdict = if is_fine { "ok" } else { "FAILED" };
            table += &format!(" {mode_name} {verdict:<6}");
            if !is_fine {
                failed.push(format!("{name} ({mode_name})"));
            }
        }
        table.push('\n');
    }
    table += "\nelsewhere\n";
    for (what, why) in ELSEWHERE {
        table += &format!("{what:<72} {why}\n");
    }
    // Unlike what is printed, this is seen though the test passes.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

const fn mode(checksum: bool, compression: bool) -> Mode {
    Mode {
        checksum,
        compression,
    }
}

/// What is in a packet.
fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let byte = |n: usize| (seed as usize).wrapping_add(n * 31).wrapping_add(n >> 8) as u8;
    (0..len).map(byte).collect()
}
