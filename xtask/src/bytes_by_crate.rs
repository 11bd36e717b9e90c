//! Whose code a WebAssembly module holds, read from its code and its name section.

use std::collections::{BTreeMap, HashMap};

/// The sizes inside a module.
#[derive(Debug, PartialEq)]
pub(crate) struct Bytes {
    /// Code by crate, the largest first.
    pub(crate) crates: Vec<(String, usize)>,
    /// All code.
    pub(crate) code: usize,
    /// The data segments.
    pub(crate) data: usize,
}

/// Sums up a module whose functions have readable names. `None` when it is not a module.
pub(crate) fn bytes_by_crate(module: &[u8]) -> Option<Bytes> {
    let mut module = Reader(module.strip_prefix(b"\0asm\x01\0\0\0")?);
    let (mut imported, mut bodies, mut data) = (0, Vec::new(), 0);
    let mut names = HashMap::new();
    while !module.0.is_empty() {
        let (id, mut section) = (module.byte()?, module.bytes()?);
        match id {
            0 if section.bytes()?.0 == b"name" => names = function_names(section)?,
            2 => imported = imported_functions(section)?,
            10 => {
                for _ in 0..section.number()? {
                    bodies.push(section.bytes()?.0.len());
                }
            }
            11 => data = section.0.len(),
            _ => {}
        }
    }
    let mut crates = BTreeMap::<_, usize>::new();
    for (index, size) in (imported..).zip(&bodies) {
        let name = names.get(&index).map_or("", String::as_str);
        *crates.entry(crate_of(name).to_owned()).or_default() += size;
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let code = bodies.iter().sum();
    Some(Bytes { crates, code, data })
}

/// The first part of the first path in a name: `<&T as core::fmt::Debug>::fmt` is core's.
fn crate_of(name: &str) -> &str {
    let before = name.split_once("::").map_or("", |(before, _)| before);
    let word = |c: char| !c.is_alphanumeric() && c != '_';
    match before.rsplit(word).next() {
        None | Some("") => "(no crate)",
        Some(name) => name,
    }
}

fn function_names(mut section: Reader<'_>) -> Option<HashMap<usize, String>> {
    const FUNCTIONS: u8 = 1;
    let mut names = HashMap::new();
    while !section.0.is_empty() {
        let (id, mut part) = (section.byte()?, section.bytes()?);
        if id == FUNCTIONS {
            for _ in 0..part.number()? {
                let (index, name) = (part.number()?, part.bytes()?);
                names.insert(index, String::from_utf8_lossy(name.0).into_owned());
            }
        }
    }
    Some(names)
}

/// Imported functions come before the module's own in the numbering.
fn imported_functions(mut section: Reader<'_>) -> Option<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        let _ = (section.bytes()?, section.bytes()?);
        match section.byte()? {
            0 => {
                functions += 1;
                section.number()?;
            }
            1 => {
                section.byte()?;
                section.limits()?;
            }
            2 => section.limits()?,
            3 => {
                let _ = (section.byte()?, section.byte()?);
            }
            _ => {
                let _ = (section.byte()?, section.number()?);
            }
        }
    }
    Some(functions)
}

/// The bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// An unsigned LEB128.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A length, and as many bytes.
    fn bytes(&mut self) -> Option<Self> {
        let length = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Self(bytes))
    }

    /// The least size of a table or memory and, when the flag says so, the greatest.
    fn limits(&mut self) -> Option<()> {
        let flags = self.byte()?;
        self.number()?;
        if flags & 1 == 1 {
            self.number()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_counted_for_the_crate_that_a_name_begins_with() {
        let module = [
            b"\0asm\x01\0\0\0".as_slice(),
            b"\x02\x07\x01\x01a\x01b\0\0", // one imported function
            b"\x0a\x08\x02\x02\0\x0b\x03\0\x01\x0b", // two bodies, of 2 and 3 bytes
            b"\x0b\x02\x01\x02",           // data
            b"\0\x16\x04name\x01\x0f\x02\x01\x04a::b\x02\x06<c::d>", // functions 1 and 2
        ];
        let bytes = bytes_by_crate(&module.concat()).unwrap();

        let crates = vec![("c".to_owned(), 3), ("a".to_owned(), 2)];
        assert_eq!(
            bytes,
            Bytes {
                crates,
                code: 5,
                data: 2
            }
        );
        assert_eq!(bytes_by_crate(b"MZ"), None);
    }

    #[test]
    fn names_that_are_not_plain_paths_have_a_crate_too() {
        assert_eq!(crate_of("<&T as core::fmt::Debug>::fmt"), "core");
        assert_eq!(crate_of("<alloc::vec::Vec<T> as a::B>::drop"), "alloc");
        assert_eq!(crate_of("memcpy"), "(no crate)");
    }
}
