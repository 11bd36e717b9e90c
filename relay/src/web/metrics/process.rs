//! What the system says of this process, under the names that Prometheus' own clients give it. Where the system does
//! not say, the names are missing.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;

/// Seconds since 1970.
pub(super) fn now_s() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

pub(super) fn tell(start_s: f64) {
    gauge!("process_start_time_seconds").set(start_s);
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        // One of them is this list.
        gauge!("process_open_fds").set(files.count().saturating_sub(1) as f64);
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some((kib * 1024) as f64)
}
