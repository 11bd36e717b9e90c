//! Arithmetic.

/// The value of an expression.
pub(super) fn evaluate(expression: &str) -> Result<f64, String> {
    let value = fasteval2::ez_eval(expression, &mut fasteval2::EmptyNamespace)
        .map_err(|error| explain(expression, &error))?;
    if value.is_nan() {
        Err(format!(
            "`{expression}` has no value: it divides zero by zero, or the like"
        ))
    } else if value.is_infinite() {
        Err(format!(
            "`{expression}` has no value: it divides by zero, or grows too large"
        ))
    } else {
        // Minus zero is of no use to anybody.
        Ok(value + 0.0)
    }
}

fn explain(expression: &str, error: &fasteval2::Error) -> String {
    use fasteval2::Error;
    match error {
        Error::EofWhileParsing(_) | Error::EOF => {
            format!("`{expression}` is incomplete: expected a value at its end")
        }
        Error::Undefined(name) => format!("`{name}` is neither a number nor a known function"),
        Error::UnparsedTokensRemaining(rest) => format!("did not expect `{rest}`"),
        Error::TooLong => String::from("the expression is too long"),
        Error::TooDeep => String::from("the expression is nested too deeply"),
        other => format!("`{expression}` cannot be read: {other}"),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn shown(expression: &str) -> String {
        evaluate(expression).map_or_else(|e| e, |value| value.to_string())
    }

    #[test]
    fn arithmetic_has_precedence_parentheses_and_fractions() {
        for (expression, value) in [
            ("1+2", "3"),
            ("1 + 2 * 3", "7"),
            ("(1+2)*3", "9"),
            ("2^10", "1024"),
            ("-3 + 1", "-2"),
            ("1/4", "0.25"),
            ("0.5 * 3", "1.5"),
            ("10 % 4", "2"),
            ("7 - 2 - 1", "4"),
            ("0 * -1", "0"),
            ("1e3", "1000"),
            ("sin(0)", "0"),
        ] {
            assert_eq!(shown(expression), value, "{expression}");
        }
    }

    #[test]
    fn what_has_no_value_says_why() {
        assert!(shown("1/0").contains("divides by zero"), "{}", shown("1/0"));
        assert!(shown("0/0").contains("zero by zero"));
        assert!(shown("1+").contains("incomplete"), "{}", shown("1+"));
        assert!(shown("1+x").contains("`x`"), "{}", shown("1+x"));
        for odd in ["", "1 2", "(1", "1)", "@", "1++", "\u{0}", "ä"] {
            assert!(evaluate(odd).is_err(), "{odd}: {:?}", evaluate(odd));
        }
    }

    #[test]
    fn hostile_expressions_are_refused_quickly() {
        assert!(evaluate(&"(".repeat(100_000)).is_err());
        assert!(evaluate(&"1+".repeat(100_000)).is_err());
        assert!(evaluate("9^9^9^9").is_err());
    }
}
