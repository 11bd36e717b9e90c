//! Text of strangers, made fit for terminals and for comments in generated code.

/// The text without characters that steer: a terminal, or the order in which a reader sees a line.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// As much of the text as an error needs to show.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let start: String = text.chars().take(CHARS_MAX).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    harmless(&start) + more
}
