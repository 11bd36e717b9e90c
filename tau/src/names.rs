//! One name in every language's spelling: it is cut into words, and each joins them its own way.

/// `GetPeerCount` in Rust: `get_peer_count`. Keywords are raw, or get an underscore.
pub(crate) fn snake(name: &str) -> String {
    let snake = words(name).join("_");
    match snake.as_str() {
        // These cannot even be raw.
        "self" | "super" | "crate" => snake + "_",
        word if RUST_KEYWORDS.contains(&word) => format!("r#{snake}"),
        _ => snake,
    }
}

/// `GetPeerCount` on the wire and in TypeScript: `getPeerCount`.
pub(crate) fn camel(name: &str) -> String {
    let mut words = words(name).into_iter();
    let first = words.next().unwrap_or_default();
    words.fold(first, |all, word| all + &capital(&word))
}

/// A type's or value's name. Only underscores and a small first letter are against the custom.
pub(crate) fn pascal(name: &str) -> String {
    if name.contains('_') {
        words(name).iter().map(|word| capital(word)).collect()
    } else {
        capital(name)
    }
}

/// `IFoo` is `Foo`.
pub(crate) fn without_i(name: &str) -> &str {
    let rest = name.strip_prefix('I').unwrap_or(name);
    if rest.starts_with(|c: char| c.is_ascii_uppercase()) {
        rest
    } else {
        name
    }
}

/// A name where TypeScript does not take its keywords.
pub(crate) fn no_keyword(name: String) -> String {
    if JAVASCRIPT_KEYWORDS.contains(&name.as_str()) {
        name + "_"
    } else {
        name
    }
}

/// Whether there is anything to spell: not so for `_` and `_1`.
pub(crate) fn can_be_spelled(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// The words in small letters. They begin after underscores, at a capital after a small letter or
/// a digit, and at the last capital of several before a small letter: `HTTPServer2Go` is
/// `http server2 go`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let chars: Vec<char> = part.chars().collect();
        for (index, c) in chars.iter().enumerate() {
            let after = index.checked_sub(1).and_then(|before| chars.get(before));
            let small_next = chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
            let begins = after.is_none_or(|after| {
                c.is_ascii_uppercase() && (!after.is_ascii_uppercase() || small_next)
            });
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
    }
    words
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

const RUST_KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

const JAVASCRIPT_KEYWORDS: [&str; 49] = [
    "any",
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words_and_joined() {
        for (name, in_rust, on_the_wire) in [
            ("Sum", "sum", "sum"),
            ("GetPeerCount", "get_peer_count", "getPeerCount"),
            ("getPeerCount", "get_peer_count", "getPeerCount"),
            ("get_peer_count", "get_peer_count", "getPeerCount"),
            ("MAX_SIZE", "max_size", "maxSize"),
            ("HTTPServer", "http_server", "httpServer"),
            ("HTTPServer2Go", "http_server2_go", "httpServer2Go"),
            ("userID", "user_id", "userId"),
            ("V0", "v0", "v0"),
            ("_private__x_", "private_x", "privateX"),
            ("a_1", "a_1", "a1"),
        ] {
            assert_eq!(snake(name), in_rust, "{name}");
            assert_eq!(camel(name), on_the_wire, "{name}");
        }
    }

    #[test]
    fn types_keep_their_names_but_for_underscores_and_a_small_start() {
        for (name, type_name) in [
            ("UserInfo", "UserInfo"),
            ("C0", "C0"),
            ("READY", "READY"),
            ("NOT_READY", "NotReady"),
            ("point", "Point"),
        ] {
            assert_eq!(pascal(name), type_name, "{name}");
        }
    }

    #[test]
    fn an_i_before_a_capital_is_left_out() {
        for (name, short) in [
            ("IFoo", "Foo"),
            ("Item", "Item"),
            ("I", "I"),
            ("IO", "O"),
            ("I2", "I2"),
        ] {
            assert_eq!(without_i(name), short);
        }
    }

    #[test]
    fn keywords_of_rust_are_raw_or_get_an_underscore() {
        assert_eq!(snake("Type"), "r#type");
        assert_eq!(snake("Self"), "self_");
        assert_eq!(snake("TypeOf"), "type_of");
        assert_eq!(no_keyword("new".into()), "new_");
    }
}
