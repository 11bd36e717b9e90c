//! The same seed is the same run: again, and on another machine. `cargo xtask test wasm` hands over the
//! hashes that the native build has found.

use peerage_sim::run;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// `seed:hash` in hexadecimal, separated by commas.
const ELSEWHERE: Option<&str> = option_env!("PEERAGE_SIM_HASHES");

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(3).hash, run(3).hash);
    assert_ne!(run(3).hash, run(4).hash);
}

#[test]
fn a_seed_gives_the_same_run_elsewhere() {
    let Some(hashes) = ELSEWHERE else {
        if cfg!(target_arch = "wasm32") {
            panic!("expected the hashes of the native build");
        }
        return;
    };
    let hex = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
    for (seed, hash) in hashes.split(',').filter_map(|pair| pair.split_once(':')) {
        assert_eq!(run(hex(seed)).hash, hex(hash), "seed {seed}");
    }
}
