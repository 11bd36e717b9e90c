//! Has the crate built again when the console's files have changed or come to be: what is embedded is
//! known only when it is there.

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
}
