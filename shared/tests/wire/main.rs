//! The wire, byte by byte: what `tests/wire` promises to other implementations, and `docs/protocol.md` to
//! their authors. `PEERAGE_BLESS=1 cargo test -p peerage --test wire` writes the vectors anew, after a
//! change that is meant.

mod vectors;

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use peerage::id::Kind;
use peerage::link::Frame;
use peerage::link::frame::Packet;
use peerage::session::Payload;
use peerage::session::transport::Remark;
use peerage::stream::frame::StreamFrame;
use peerage::wire::{DecodeError, Reader, put_varint};
use peerage::{Code, Failure};
use serde_json::Value;
use vectors::{frames, handshakes, hex, link_frames, session_payloads, stream_frames, varints};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// One file of vectors: what it should hold, and what it holds.
struct File {
    name: &'static str,
    vectors: Vec<Value>,
    committed: &'static str,
}

macro_rules! file {
    ($name:literal, $vectors:expr) => {
        File {
            name: $name,
            vectors: $vectors,
            committed: include_str!(concat!("../../../tests/wire/", $name)),
        }
    };
}

fn files() -> [File; 5] {
    [
        file!("varint.json", varints()),
        file!("link.json", link_frames()),
        file!("session.json", session_payloads()),
        file!("stream.json", stream_frames()),
        file!("handshake.json", handshakes()),
    ]
}

fn unhex(text: &Value) -> Bytes {
    let text = text.as_str().expect("a string");
    HEXLOWER
        .decode(text.as_bytes())
        .expect("hexadecimal")
        .into()
}

#[test]
fn the_vectors_are_what_this_node_says() {
    for File {
        name,
        vectors,
        committed,
    } in files()
    {
        let text = serde_json::to_string_pretty(&vectors).expect("JSON") + "\n";
        #[cfg(not(target_arch = "wasm32"))]
        if std::env::var_os("PEERAGE_BLESS").is_some() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/wire/");
            std::fs::write(format!("{folder}{name}"), &text).expect("a writable folder");
            continue;
        }
        assert_eq!(text, committed, "{name}");
    }
}

/// Reads a vector as its file's format, and writes it again.
fn read(file: &str, name: &str, bytes: Bytes) -> Result<Bytes, Code> {
    let failure = |error: DecodeError| Failure::from(error).code;
    let mut reader = Reader::new(bytes.clone());
    let mut out = BytesMut::new();
    match file {
        "varint.json" => put_varint(&mut out, reader.varint().map_err(failure)?),
        "link.json" => {
            let mut packet = Packet::new(bytes);
            let first = packet.next().expect("a frame");
            out.extend_from_slice(&first.map_err(failure)?.0.encode());
        }
        "session.json" if name.starts_with("plain") => {
            for _ in 0..2 {
                put_varint(&mut out, reader.varint().map_err(failure)?);
            }
            out.extend_from_slice(&Remark::decode(reader).map_err(failure)?.encode());
        }
        "session.json" => match Payload::decode(bytes).map_err(failure)? {
            Payload::First { version, noise } => out.extend(Payload::first(version, &noise)),
            Payload::Second(noise) => out.extend(Payload::second(&noise)),
            Payload::Notice(code) => out.extend(Payload::notice(code)),
            Payload::Record(sealed) => out.extend(sealed.whole),
        },
        _ => {
            let (stream, frame) = StreamFrame::decode(&mut reader).map_err(failure)?;
            frame.encode(stream, &mut out);
        }
    }
    Ok(out.freeze())
}

#[test]
fn every_vector_is_read_or_refused_as_it_says() {
    for File {
        name: file,
        committed,
        ..
    } in files().into_iter().take(4)
    {
        let vectors: Vec<Value> = serde_json::from_str(committed).expect("JSON");
        for vector in vectors {
            let name = vector["name"].as_str().expect("a name");
            let bytes = unhex(&vector["hex"]);
            let got = read(file, name, bytes.clone());
            match vector.get("refused").and_then(Value::as_str) {
                None => assert_eq!(got, Ok(bytes), "{file}: {name}"),
                Some(code) => assert_eq!(got.map_err(Code::as_str), Err(code), "{file}: {name}"),
            }
        }
    }
}

#[test]
fn every_truncation_of_a_valid_frame_is_refused() {
    for (name, frame, _) in frames() {
        let whole = frame.encode();
        for len in 1..whole.len() {
            let cut = Packet::new(whole.slice(..len)).next().expect("something");
            assert!(cut.is_err(), "{name}: {len} of {} bytes", whole.len());
        }
    }
}

/// The rows of a table in the document, by its first two columns, below a heading.
fn table(heading: &str) -> Vec<(String, String)> {
    let section = DOCUMENT
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no section `{heading}`"));
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| {
        let mut cells = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""));
        Some((cells.next()?, cells.next()?))
    })
    .filter(|(number, _)| number.chars().all(|c| c.is_ascii_digit()))
    .collect()
}

fn row(number: usize, name: &str) -> (String, String) {
    (number.to_string(), name.to_owned())
}

#[test]
fn the_document_numbers_everything_as_the_source_does() {
    let controls = frames()
        .into_iter()
        .filter_map(|(name, frame, _)| match frame {
            Frame::Control(_) => {
                // Length, kind, an array of two: the number.
                let bytes = frame.encode();
                let array = bytes
                    .iter()
                    .position(|byte| *byte == 0x82)
                    .expect("an array of two");
                Some(row(usize::from(bytes[array + 1]), name))
            }
            _ => None,
        });
    assert_eq!(table("Control frames"), controls.collect::<Vec<_>>());
    let codes = Code::ALL
        .iter()
        .map(|code| row(code.number().into(), code.as_str()));
    assert_eq!(table("Failures"), codes.collect::<Vec<_>>());
    let limits = [
        ("FRAGMENT_BYTES_MAX", peerage::limits::FRAGMENT_BYTES_MAX),
        ("MESSAGE_BYTES_MAX", peerage::limits::MESSAGE_BYTES_MAX),
        ("DATAGRAM_BYTES_MAX", peerage::limits::DATAGRAM_BYTES_MAX),
        ("FRAME_BYTES_MAX", peerage::limits::FRAME_BYTES_MAX),
        ("PACKET_BYTES_MAX", peerage::limits::PACKET_BYTES_MAX),
        ("PROTOCOL_BYTES_MAX", peerage::limits::PROTOCOL_BYTES_MAX),
        (
            "OFFERED_PROTOCOLS_MAX",
            peerage::limits::OFFERED_PROTOCOLS_MAX,
        ),
        ("STREAMS_MAX", peerage::limits::STREAMS_MAX),
        (
            "STREAM_CREDIT_FIRST_BYTES",
            peerage::limits::STREAM_CREDIT_FIRST_BYTES as usize,
        ),
        (
            "UNACKNOWLEDGED_RECORDS_MAX",
            peerage::limits::UNACKNOWLEDGED_RECORDS_MAX,
        ),
        (
            "UNACKNOWLEDGED_BYTES_MAX",
            peerage::limits::UNACKNOWLEDGED_BYTES_MAX,
        ),
    ];
    assert_eq!(
        table("Limits"),
        limits.map(|(name, limit)| row(limit, name))
    );
    for kind in [
        Kind::Browser,
        Kind::Native,
        Kind::Relay,
        Kind::Enet,
        Kind::Adapter,
    ] {
        let said = format!("{} {kind}", kind as u8);
        assert!(DOCUMENT.contains(&said), "{said}");
    }
}

#[test]
fn the_document_shows_the_vectors() {
    for File { name, .. } in files() {
        assert!(DOCUMENT.contains(&format!("tests/wire/{name}")), "{name}");
    }
    // A few of them are printed.
    for (name, frame, _) in frames() {
        if ["ping", "record"].contains(&name) {
            let hex = hex(&frame.encode());
            assert!(DOCUMENT.contains(&hex), "{name}: {hex}");
        }
    }
}
