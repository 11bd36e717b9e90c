//! Replays what a fuzzer has found so far: one input a line, in hexadecimal.

use std::path::Path;

use data_encoding::HEXLOWER;
use peerage_fuzz::TARGETS;

#[test]
fn the_corpus_finds_nothing_amiss() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let file = folder.join(name).with_extension("txt");
        let text = std::fs::read_to_string(&file).expect("a corpus for each target");
        let inputs: Vec<_> = text.lines().collect();
        assert!(inputs.len() > 3, "{name}: {} inputs", inputs.len());
        for input in inputs {
            target(&HEXLOWER.decode(input.as_bytes()).expect("hexadecimal"));
        }
    }
}
