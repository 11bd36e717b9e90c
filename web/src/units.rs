//! Figures as people read them.

/// Bytes: `512 B`, `1.5 kB`.
pub(crate) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut count, mut unit) = (count, 0);
    while count >= 999.5 && unit + 1 < UNITS.len() {
        count /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count:.0} B"),
        _ if count < 9.95 => format!("{count:.1} {}", UNITS[unit]),
        _ => format!("{count:.0} {}", UNITS[unit]),
    }
}

/// Bytes in a second; nothing for none.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    match bytes_per_second < 0.5 {
        true => String::new(),
        false => format!("{}/s", bytes(bytes_per_second)),
    }
}

/// Milliseconds: `0.42 ms`, `12.3 ms`, `1.24 s`.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 0.9995 => format!("{ms:.2} ms"),
        ms if ms < 999.5 => format!("{ms:.1} ms"),
        ms => seconds(ms),
    }
}

/// How long something takes, from milliseconds: `0.4 s`, `12 s`, `3 min`, `5 h`.
pub(crate) fn seconds(ms: f64) -> String {
    match ms / 1000.0 {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// The time of the day where the page is, from milliseconds since 1970: `14:03:59.123`.
pub(crate) fn clock(ms: f64) -> String {
    let date = js_sys::Date::new(&ms.into());
    let (h, m, s) = (date.get_hours(), date.get_minutes(), date.get_seconds());
    format!("{h:02}:{m:02}:{s:02}.{:03}", date.get_milliseconds())
}

/// How far a clock is ahead of another, by so much right: `12.0 ms ahead ± 1.0 ms`.
pub(crate) fn ahead(ms: f64, error_ms: f64) -> String {
    let side = if ms < 0.0 { "behind" } else { "ahead" };
    format!("{} {side} ± {}", millis(ms.abs()), millis(error_ms))
}

/// A text by which names sort as people count: `peer-2` is before `peer-10`.
pub(crate) fn natural(name: &str) -> (String, u64, String) {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (word, number) = name.split_at(name.len() - digits);
    (
        word.to_lowercase(),
        number.parse().unwrap_or_default(),
        name.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn figures_are_short_whatever_their_size() {
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(999.6), "1.0 kB");
        assert_eq!(bytes(1_540_000.0), "1.5 MB");
        assert_eq!(bytes(12e12), "12 TB");
        assert_eq!(bytes(12e15), "12000 TB");
        assert_eq!(rate(0.0), "");
        assert_eq!(rate(2500.0), "2.5 kB/s");
        assert_eq!(millis(0.4242), "0.42 ms");
        assert_eq!(millis(12.34), "12.3 ms");
        assert_eq!(millis(1240.0), "1.2 s");
        assert_eq!(ahead(12.0, 1.0), "12.0 ms ahead ± 1.0 ms");
        assert_eq!(ahead(-2500.0, 0.5), "2.5 s behind ± 0.50 ms");
        assert_eq!(seconds(90_000.0), "90 s");
        assert_eq!(seconds(180_000.0), "3 min");
    }

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["peer-10", "peer-2", "Alpha", "peer", "beta"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["Alpha", "beta", "peer", "peer-2", "peer-10"]);
    }
}
