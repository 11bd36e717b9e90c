//! What is said at `/events`, by the very files that the relay reads and writes it with.

#![allow(dead_code, reason = "the relay uses more of these files than a fuzzer")]

#[path = "../../../relay/src/front/events/frame.rs"]
mod frame;
#[path = "../../../relay/src/front/events/json.rs"]
mod json;

use frame::Frame;

/// A frame: what is read is said in lines and is the same then, as is a body of JSON; what is none is told why.
pub fn events(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else {
        return;
    };
    let frame = match Frame::parse(text) {
        Ok(frame) => frame,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(Frame::parse(&frame.to_string()), Ok(frame.clone()));
    // Another's frame says the same headers of HTTP.
    if let Ok(headers) = frame.http_headers() {
        let passed_on = Frame::new("kos.http.request").with_http(&headers);
        assert_eq!(passed_on.http_headers(), Ok(headers));
    }
    if let Ok(value) = json::read(&frame.body) {
        let written = json::write(&value);
        let again = json::read(&written).expect("what we have written");
        assert_eq!(json::write(&again), written);
    }
}
