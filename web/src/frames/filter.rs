//! The filter of frames: words, and `peer:`, `proto:`, `dir:` and `kind:` before a word, all of which must fit; `-`
//! before one means that it must not.

use super::recording::Frame;

/// Which frames are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    what: Field,
    word: String,
    is_unwanted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Peer,
    Protocol,
    Way,
    Kind,
    /// Any of these, or the bytes.
    Any,
}

impl Filter {
    pub(super) fn read(text: &str) -> Self {
        let terms = text.split_whitespace().map(|term| {
            let (is_unwanted, term) = match term.strip_prefix('-') {
                Some(term) => (true, term),
                None => (false, term),
            };
            let (what, word) = match term.split_once(':') {
                Some(("peer", word)) => (Field::Peer, word),
                Some(("proto" | "protocol", word)) => (Field::Protocol, word),
                Some(("dir" | "way", word)) => (Field::Way, word),
                Some(("kind", word)) => (Field::Kind, word),
                _ => (Field::Any, term),
            };
            let word = word.to_lowercase();
            Term {
                what,
                word,
                is_unwanted,
            }
        });
        // Who is in the middle of typing `peer:` wants all peers still.
        Self(terms.filter(|term| !term.word.is_empty()).collect())
    }

    pub(super) fn wants(&self, frame: &Frame) -> bool {
        self.0
            .iter()
            .all(|term| term.fits(frame) != term.is_unwanted)
    }
}

impl Term {
    fn fits(&self, frame: &Frame) -> bool {
        let word = self.word.as_str();
        let within = |text: &str| text.to_lowercase().contains(word);
        match self.what {
            Field::Peer => within(&frame.peer),
            Field::Protocol => within(&frame.protocol),
            Field::Way => frame.way.as_str() == word,
            Field::Kind => frame.kind.starts_with(word),
            Field::Any => {
                let texts = [frame.peer.as_str(), &frame.protocol, frame.kind];
                texts.into_iter().any(within) || has(&frame.bytes, word.as_bytes())
            }
        }
    }
}

/// Whether bytes have a text in them, in lower or upper case.
fn has(bytes: &[u8], word: &[u8]) -> bool {
    let mut windows = bytes.windows(word.len());
    windows.any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use peerage::node::Direction;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn frame() -> Frame {
        Frame {
            number: 1,
            time: 0.0,
            way: Direction::In,
            peer: "Right".into(),
            protocol: "peerage/rpc/1".into(),
            kind: "message",
            size: 3,
            bytes: Bytes::from_static(b"\x83Pour"),
        }
    }

    #[test]
    fn all_words_must_fit_where_they_belong() {
        for (text, wanted) in [
            ("", true),
            ("peer:right proto:rpc dir:in", true),
            ("peer:rpc", false),
            ("dir:out", false),
            ("kind:mess", true),
            ("-proto:signal", true),
            ("-proto:rpc", false),
            ("pour", true),
            ("right -pour", false),
            ("peer:", true),
            ("nothing", false),
        ] {
            assert_eq!(Filter::read(text).wants(&frame()), wanted, "{text}");
        }
    }
}
