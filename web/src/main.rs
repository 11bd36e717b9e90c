//! Peerage.
fn main() {}
