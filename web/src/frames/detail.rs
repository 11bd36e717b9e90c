//! A frame in full: what it is, what it holds as far as that can be read, and its bytes.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use core::fmt::Write;

use leptos::prelude::*;

use super::recording::Frame;
use crate::route::View;
use crate::shown::Shown;
use crate::tree::{of_cbor, show};
use crate::units::{bytes, clock};

/// Bytes in a line.
const LINE: usize = 16;

#[component]
pub(crate) fn Detail(shown: Shown, frame: Frame) -> impl IntoView {
    // What links carry is sealed, or words between neighbours, which are told as such.
    let is_open = matches!(frame.kind, "message" | "datagram");
    let trees = if is_open {
        of_cbor(&frame.bytes)
    } else {
        Vec::new()
    };
    let trees: Vec<_> = trees.iter().map(|tree| show("", tree)).collect();
    let is_cut = frame.size > frame.bytes.len();
    let peer = frame.peer.clone();
    let is_node = shown.zone.find(&peer).is_some();
    let peer = match is_node {
        true => view! { <a href=View::Nodes.address_of(&peer)>{peer.clone()}</a> }.into_any(),
        false => peer.into_any(),
    };
    view! {
        <section aria-labelledby="frame" data-testid="frame">
            <h3 id="frame">{frame.kind} " " <small class="soft">{format!("{}, {}", frame.way, bytes(frame.size as f64))}</small></h3>
            <dl>
                <div><dt>"time"</dt><dd>{clock(frame.time)}</dd></div>
                <div><dt>"peer"</dt><dd>{peer}</dd></div>
                <div><dt>{if is_open { "protocol" } else { "about" }}</dt><dd>{frame.protocol.clone()}</dd></div>
            </dl>
            {(!trees.is_empty()).then(|| view! { <h4>"Decoded"</h4> <div class="tree" data-testid="decoded">{trees}</div> })}
            <h4>"Bytes" {is_cut.then(|| format!(", the first {}", frame.bytes.len()))}</h4>
            <pre class="hex" tabindex="0" aria-label="Bytes">{dump(&frame.bytes)}</pre>
        </section>
    }
}

/// Bytes as numbers and as text.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (n, line) in bytes.chunks(LINE).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:04x} ", n * LINE);
        for byte in line {
            let _ = write!(text, " {byte:02x}");
        }
        let room = 3 * (LINE - line.len()) + 2;
        let _ = write!(text, "{:room$}", "");
        let shown = |byte: &u8| {
            if (0x20..0x7f).contains(byte) {
                char::from(*byte)
            } else {
                '·'
            }
        };
        text.extend(line.iter().map(shown));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn bytes_stand_in_lines_with_their_places() {
        let text = dump(b"0123456789abcdef\x00Z");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("0000  30 31") && lines[0].ends_with("66  0123456789abcdef"));
        assert!(lines[1].starts_with("0010  00 5a") && lines[1].ends_with("  ·Z"));
        assert_eq!(lines[0].find("0123456789"), lines[1].find('·'));
    }
}
