//! What the coils and registers of a Modbus device are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

/// Coils and registers of one device, at the most.
const POINTS_MAX: usize = 256;

/// A file with the map of a device, in JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Map {
    /// Host and port.
    pub device: String,
    /// The device's number behind a gateway.
    #[serde(default = "Map::usual_unit")]
    pub unit: u8,
    #[serde(default = "Map::usual_poll_ms")]
    poll_ms: u64,
    #[serde(default = "Map::usual_timeout_ms")]
    timeout_ms: u64,
    /// What there is, by names in `camelCase`.
    pub points: BTreeMap<String, Point>,
}

/// A coil or a register.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Point {
    /// Where it is found.
    pub table: Table,
    /// Its number, from 0.
    pub address: u16,
    /// How many bits a number has.
    pub width: Width,
    /// By what a number is multiplied that is read.
    pub scale: f64,
}

/// The four tables of Modbus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Bits that can be set.
    Coil,
    /// Bits that cannot.
    Discrete,
    /// Registers that can be set.
    Holding,
    /// Registers that cannot.
    Input,
}

/// What a number is; of several registers the first is the most significant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Width {
    /// 16 bits.
    #[default]
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits.
    U32,
    /// 32 bits, signed.
    I32,
    /// A float of 32 bits.
    F32,
}

/// A map that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It is no map.
    #[error("at `{path}`: {reason}")]
    Invalid {
        /// Where.
        path: String,
        /// What was expected and what is there.
        reason: String,
    },
    /// A name cannot be one of a property.
    #[error("expected a name in camelCase, got `{0}`")]
    Name(String),
    /// There is too much of it.
    #[error("expected at most {POINTS_MAX} points, got {0}")]
    TooMany(usize),
    /// No schema can be made of it.
    #[error("{0}")]
    Schema(String),
}

/// As a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    coil: Option<u16>,
    discrete: Option<u16>,
    holding: Option<u16>,
    input: Option<u16>,
    #[serde(default, rename = "as")]
    width: Width,
    scale: Option<f64>,
}

impl TryFrom<Written> for Point {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written {
            width,
            scale,
            coil,
            discrete,
            holding,
            input,
        } = written;
        let tables = [
            (Table::Coil, coil),
            (Table::Discrete, discrete),
            (Table::Holding, holding),
            (Table::Input, input),
        ];
        let mut said = tables
            .into_iter()
            .filter_map(|(table, at)| Some((table, at?)));
        let (Some((table, address)), None) = (said.next(), said.next()) else {
            return Err(
                "expected one of coil, discrete, holding and input, with its number".into(),
            );
        };
        let scale = scale.unwrap_or(1.0);
        if !scale.is_normal() {
            return Err(format!("expected a scale that is not 0, got {scale}"));
        }
        Ok(Self {
            table,
            address,
            width,
            scale,
        })
    }
}

impl Map {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong in it, and where.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let map: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            MapError::Invalid { path, reason }
        })?;
        if map.points.len() > POINTS_MAX {
            return Err(MapError::TooMany(map.points.len()));
        }
        let is_name = |name: &&String| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric())
        };
        match map.points.keys().find(|name| !is_name(name)) {
            Some(name) => Err(MapError::Name(name.clone())),
            None => Ok(map),
        }
    }

    /// The interface's schema, in Tau.
    pub(super) fn tau(&self) -> String {
        let mut tau = String::from("@version(1) interface Modbus\n{\n");
        for (name, point) in &self.points {
            let kind = match point.table {
                Table::Coil => "bool",
                Table::Discrete => "const bool",
                Table::Holding => "double",
                Table::Input => "const double",
            };
            // To write to a text is always done.
            let _ = writeln!(tau, "    {kind} {name};");
        }
        tau.push_str("    event changed(string name, Object value);\n}\n");
        tau
    }

    /// How long it is waited between two readings.
    pub(super) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(1))
    }

    /// How long the device may take to answer.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    const fn usual_unit() -> u8 {
        1
    }

    const fn usual_poll_ms() -> u64 {
        200
    }

    const fn usual_timeout_ms() -> u64 {
        1000
    }
}

impl Width {
    /// How many registers.
    pub(super) const fn words(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
        }
    }
}

impl Point {
    /// The number that registers hold; `None` if they are too few.
    pub(super) fn read(&self, words: &[u16]) -> Option<f64> {
        let long = || match words {
            [high, low] => Some(u32::from(*high) << 16 | u32::from(*low)),
            _ => None,
        };
        let first = words.first().copied()?;
        let number = match self.width {
            Width::U16 => f64::from(first),
            Width::I16 => f64::from(first as i16),
            Width::U32 => f64::from(long()?),
            Width::I32 => f64::from(long()? as i32),
            Width::F32 => f64::from(f32::from_bits(long()?)),
        };
        Some(number * self.scale)
    }

    /// The registers that hold a number, if any can.
    pub(super) fn write(&self, number: f64) -> Option<Vec<u16>> {
        let raw = number / self.scale;
        let whole = raw.round();
        let fits = |least: f64, most: f64| (least..=most).contains(&whole);
        let long = |bits: u32| vec![(bits >> 16) as u16, bits as u16];
        match self.width {
            Width::U16 => fits(0.0, f64::from(u16::MAX)).then(|| vec![whole as u16]),
            Width::I16 => {
                fits(f64::from(i16::MIN), f64::from(i16::MAX)).then(|| vec![whole as i16 as u16])
            }
            Width::U32 => fits(0.0, f64::from(u32::MAX)).then(|| long(whole as u32)),
            Width::I32 => {
                fits(f64::from(i32::MIN), f64::from(i32::MAX)).then(|| long(whole as i32 as u32))
            }
            Width::F32 => raw.is_finite().then(|| long((raw as f32).to_bits())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(points: &str) -> Result<Map, MapError> {
        Map::parse(&format!(
            r#"{{"device":"127.0.0.1:502","points":{points}}}"#
        ))
    }

    #[test]
    fn a_map_becomes_a_schema() {
        let map = map(
            r#"{"pump":{"coil":0},"door":{"discrete":3},"level":{"input":1,"scale":0.1},"speed":{"holding":2,"as":"i32"}}"#,
        );
        let tau = map.unwrap().tau();
        let lines: Vec<_> = tau.lines().map(str::trim).collect();
        assert_eq!(
            lines[2..6],
            [
                "const bool door;",
                "const double level;",
                "bool pump;",
                "double speed;"
            ]
        );
        assert!(crate::adapter::schema::Schema::parse(&tau).is_ok());
    }

    #[test]
    fn what_is_wrong_in_a_map_is_told_with_its_place() {
        for (points, expected) in [
            (r#"{"pump":{}}"#, "expected one of coil"),
            (r#"{"pump":{"coil":0,"input":1}}"#, "expected one of coil"),
            (r#"{"pump":{"coil":70000}}"#, "points.pump"),
            (r#"{"pump":{"coil":0,"scale":0}}"#, "expected a scale"),
            (r#"{"Pump":{"coil":0}}"#, "camelCase"),
            (r#"{"a b":{"coil":0}}"#, "camelCase"),
        ] {
            let error = map(points).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for (width, scale, number, words) in [
            ("u16", 1.0, 65_535.0, Some(vec![0xffff])),
            ("u16", 1.0, 65_536.0, None),
            ("u16", 1.0, -1.0, None),
            ("i16", 1.0, -2.0, Some(vec![0xfffe])),
            ("u16", 0.1, 21.5, Some(vec![215])),
            ("u32", 1.0, 65_536.0, Some(vec![1, 0])),
            ("i32", 1.0, -1.0, Some(vec![0xffff, 0xffff])),
            ("f32", 1.0, 1.5, Some(vec![0x3fc0, 0])),
            ("u16", 1.0, f64::NAN, None),
        ] {
            let text = format!(r#"{{"x":{{"holding":0,"as":"{width}","scale":{scale}}}}}"#);
            let map = map(&text).unwrap();
            let point = &map.points["x"];
            assert_eq!(point.write(number), words, "{width} {number}");
            if let Some(words) = words {
                let read = point.read(&words).unwrap();
                assert!((read - number).abs() < 1e-9, "{width} {number} {read}");
            }
        }
        let map = map(r#"{"x":{"holding":0,"as":"u32"}}"#).unwrap();
        assert_eq!(map.points["x"].read(&[1]), None);
    }
}
