//! Words, as a shell reads them: they end at a space, unless quotes or a backslash keep it.

/// A text that ends in the middle of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfinished {
    #[error("a quote {0} is not closed")]
    Quote(char),
    #[error("nothing follows the last \\")]
    Backslash,
}

/// The next word and what follows it; `None` if there is none.
pub(super) fn next_word(text: &str) -> Result<Option<(String, &str)>, Unfinished> {
    let text = text.trim_start();
    if text.is_empty() {
        return Ok(None);
    }
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => return Ok(Some((word, &text[at..]))),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '\\') => word.push(chars.next().ok_or(Unfinished::Backslash)?.1),
            (Some('"'), '\\') => match chars.next() {
                Some((_, c @ ('"' | '\\'))) => word.push(c),
                Some((_, c)) => word.extend(['\\', c]),
                None => break,
            },
            (_, c) => word.push(c),
        }
    }
    match quote {
        Some(open) => Err(Unfinished::Quote(open)),
        None => Ok(Some((word, ""))),
    }
}

/// The first word by its spaces alone, and the rest without the space between.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// The name of the command in a line: all that a log may tell of it.
pub(super) fn name_in(line: &str) -> &str {
    split_word(line).0
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn words(mut text: &str) -> Result<Vec<String>, Unfinished> {
        let mut words = Vec::new();
        while let Some((word, rest)) = next_word(text)? {
            words.push(word);
            text = rest;
        }
        Ok(words)
    }

    #[test]
    fn words_split_as_in_a_shell() {
        for (text, expected) in [
            ("", &[][..]),
            ("  \t ", &[]),
            ("a  b\tc", &["a", "b", "c"]),
            ("'a  b' c", &["a  b", "c"]),
            (r#""a 'b'" 'c "d"'"#, &["a 'b'", r#"c "d""#]),
            (r"a\ b \'c", &["a b", "'c"]),
            (r#""a\"b" "\\" "\n""#, &[r#"a"b"#, r"\", r"\n"]),
            (r"'a\b'", &[r"a\b"]),
            ("a''b '' \"\"", &["ab", "", ""]),
            ("ä 'ö ü'", &["ä", "ö ü"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_told() {
        for (text, error) in [
            ("a 'b", Unfinished::Quote('\'')),
            ("\"b c", Unfinished::Quote('"')),
            ("\"b\\", Unfinished::Quote('"')),
            ("b\\", Unfinished::Backslash),
        ] {
            assert_eq!(words(text), Err(error), "{text}");
        }
    }
}
