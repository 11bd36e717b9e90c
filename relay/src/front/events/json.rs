//! Bodies are JSON, values of the mesh are more: what JSON does not have is `null` there.

use peerage::error::Code;
use peerage::object::{Item, Value, from_value, to_value};
use peerage::{Failure, rpc::Parcel};
use serde::Serialize;

/// The value that a body is; none for nothing.
///
/// # Errors
/// `bad-message` for what is not JSON.
pub(super) fn read(body: &str) -> Result<Value, Failure> {
    if body.trim().is_empty() {
        return Ok(Value::of(Item::Undefined));
    }
    let wrong = |error: String| Code::BadMessage.because(format!("expected JSON: {error}"));
    let json: serde_json::Value =
        serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
    to_value(&json).map_err(|error| wrong(error.to_string()))
}

/// The body that a value is.
pub(super) fn write(value: &Value) -> String {
    match value.root() {
        Item::Undefined => String::new(),
        _ => to_json(value).to_string(),
    }
}

/// What a parcel holds; nothing if that is nothing.
pub(super) fn of_parcel(parcel: &Parcel) -> Option<serde_json::Value> {
    let json = to_json(parcel.value());
    (!json.is_null()).then_some(json)
}

/// The text of what is made of texts, numbers and the like.
pub(super) fn text(of: &impl Serialize) -> String {
    // Only what has keys that are no texts cannot be written.
    serde_json::to_string(of).unwrap_or_default()
}

fn to_json(value: &Value) -> serde_json::Value {
    from_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_was() {
        for body in [
            "",
            "null",
            "true",
            "-7",
            "1.5",
            "184467153709551.62",
            "\"a\\n\\nb\"",
            "[1,{\"a\":[]}]",
        ] {
            assert_eq!(write(&read(body).unwrap()), body);
        }
        assert_eq!(read("{").unwrap_err().code, Code::BadMessage);
    }

    #[test]
    fn what_json_does_not_have_is_null() {
        let mut bytes = Value::default();
        let root = bytes.add(peerage::object::Node::Bytes(vec![1, 2].into()));
        bytes.set_root(root);
        assert_eq!(write(&bytes), "null");
    }
}
