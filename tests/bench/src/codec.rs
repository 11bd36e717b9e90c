//! Values to bytes and back, by us and by others, natively. JSON has no bytes: it writes a list of numbers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use peerage::object::{self, Form};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use crate::client::Failed;
use crate::table::{heading, median, row};

/// How long one thing is done again and again.
const SPAN: Duration = Duration::from_millis(60);

/// Something small, as programs send it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    ratio: f64,
    active: bool,
    tags: Vec<String>,
    parent: Option<u64>,
}

impl Record {
    fn new(id: u64) -> Self {
        Self {
            id,
            name: format!("record number {id}"),
            ratio: id as f64 / 7.0,
            active: id.is_multiple_of(2),
            tags: vec!["alpha".into(), format!("tag-{}", id % 10)],
            parent: (!id.is_multiple_of(3)).then_some(id / 2),
        }
    }
}

/// Something that is written and read; each returns how many bytes that were.
struct Codec<'a> {
    name: &'static str,
    encode: Box<dyn Fn() -> Result<usize, Failed> + 'a>,
    decode: Box<dyn Fn() -> Result<(), Failed> + 'a>,
}

/// Every document, by everybody.
pub(crate) fn bench(rounds: usize) -> Result<Value, Failed> {
    let records: Vec<_> = (0..1000).map(Record::new).collect();
    let bytes: Vec<u8> = (0..1 << 20).map(|n| ((n * 31) >> 3) as u8).collect();
    let numbers: Vec<_> = (0..1 << 16).map(|n| f64::from(n) / 7.0).collect();
    Ok(json!({
        "record": document("codec, a record", &Record::new(1), rounds)?,
        "records": document("codec, 1000 records", &records, rounds)?,
        "bytes": document("codec, bytes, 1 MiB", &ByteBuf::from(bytes), rounds)?,
        "numbers": document("codec, 65536 numbers", &numbers, rounds)?,
    }))
}

/// One document by everybody, in turn, round by round; the rate beside that of ciborium.
fn document<T>(name: &str, document: &T, rounds: usize) -> Result<Value, Failed>
where
    T: Serialize + DeserializeOwned,
{
    let codecs: Vec<_> = typed(document)?
        .into_iter()
        .chain(values(document)?)
        .collect();
    let mut times: Vec<_> = codecs.iter().map(|_| [vec![], vec![]]).collect();
    for _ in 0..rounds {
        for (codec, [encode, decode]) in codecs.iter().zip(&mut times) {
            encode.push(micros(|| (codec.encode)().map(drop))?);
            decode.push(micros(&codec.decode)?);
        }
    }
    let medians = times
        .into_iter()
        .map(|times| times.map(|times| median(times.into_iter())));
    let medians: Vec<_> = medians.collect();
    let columns = [
        "encode us",
        "decode us",
        "bytes",
        "encode, to ciborium",
        "decode, to ciborium",
    ];
    heading(name, &columns);
    let mut rows = Vec::new();
    for (n, (codec, [encode, decode])) in codecs.iter().zip(&medians).enumerate() {
        // With types and with values, ciborium comes second of three.
        let rival = medians[n / 3 * 3 + 1];
        let ratios = [rival[0] / encode, rival[1] / decode];
        let bytes = (codec.encode)()?;
        row(
            codec.name,
            &[*encode, *decode, bytes as f64, ratios[0], ratios[1]],
        );
        rows.push(json!({ "system": codec.name, "encodeMicros": encode, "decodeMicros": decode, "bytes": bytes, "ratios": ratios }));
    }
    Ok(rows.into())
}

/// From and to a type.
fn typed<'a, T: Serialize + DeserializeOwned>(document: &'a T) -> Result<[Codec<'a>; 3], Failed> {
    let ours = object::encode(&object::to_value(document)?, Form::Natural);
    let mut cbor = Vec::new();
    ciborium::into_writer(document, &mut cbor)?;
    let text = serde_json::to_vec(document)?;
    Ok([
        Codec {
            name: "peerage",
            encode: Box::new(|| {
                Ok(object::encode(&object::to_value(document)?, Form::Natural).len())
            }),
            decode: Box::new(move || keep(object::from_value::<T>(&object::decode(&ours)?)?)),
        },
        Codec {
            name: "ciborium",
            encode: Box::new(|| {
                let mut out = Vec::new();
                ciborium::into_writer(document, &mut out)?;
                Ok(out.len())
            }),
            decode: Box::new(move || keep(ciborium::from_reader::<T, _>(&cbor[..])?)),
        },
        Codec {
            name: "serde_json",
            encode: Box::new(|| Ok(serde_json::to_vec(document)?.len())),
            decode: Box::new(move || keep(serde_json::from_slice::<T>(&text)?)),
        },
    ])
}

/// From and to what each has for values of any type.
fn values<T: Serialize>(document: &T) -> Result<[Codec<'static>; 3], Failed> {
    let our_value = object::to_value(document)?;
    let ours = object::encode(&our_value, Form::Natural);
    let cbor_value = ciborium::Value::serialized(document)?;
    let mut cbor = Vec::new();
    ciborium::into_writer(document, &mut cbor)?;
    let json_value = serde_json::to_value(document)?;
    let text = serde_json::to_vec(document)?;
    Ok([
        Codec {
            name: "peerage, values",
            encode: Box::new(move || Ok(object::encode(&our_value, Form::Natural).len())),
            decode: Box::new(move || keep(object::decode(&ours)?)),
        },
        Codec {
            name: "ciborium, values",
            encode: Box::new(move || {
                let mut out = Vec::new();
                ciborium::into_writer(&cbor_value, &mut out)?;
                Ok(out.len())
            }),
            decode: Box::new(move || keep(ciborium::from_reader::<ciborium::Value, _>(&cbor[..])?)),
        },
        Codec {
            name: "serde_json, values",
            encode: Box::new(move || Ok(serde_json::to_vec(&json_value)?.len())),
            decode: Box::new(move || keep(serde_json::from_slice::<Value>(&text)?)),
        },
    ])
}

fn keep<T>(made: T) -> Result<(), Failed> {
    black_box(made);
    Ok(())
}

/// Microseconds that it takes, on average.
fn micros(once: impl Fn() -> Result<(), Failed>) -> Result<f64, Failed> {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < SPAN {
        once()?;
        times += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}
