//! Whatever the bytes are, reading them ends, and what is accepted can be written.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// xorshift64*: the same cases each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % sides
    }
}

/// Reads the text and shows its error, or writes what it means.
fn survive(source: &str) -> bool {
    match peerage_tau::parse(source) {
        Ok(file) => {
            assert!(!peerage_tau::rust(&file).is_empty());
            assert!(!peerage_tau::typescript(&file).is_empty());
            true
        }
        Err(error) => {
            assert!(
                error.report("a.tau", source).lines().count() >= 3,
                "{error}"
            );
            false
        }
    }
}

fn fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "tau"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn random_bytes_are_survived() {
    let mut dice = Dice(1);
    for _ in 0..2000 {
        let length = dice.roll(200);
        let bytes: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        survive(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn random_tokens_are_survived() {
    const TOKENS: &str = "namespace class interface struct enum event async const static public : \
        :: { } ( ) < > [ ] , ; = - . @ version ( 2 ) A B C IA a::B A::B int void Future<int> List<A> \
        Map<string,A> \"text\" 1.5 0x7 /// //\n /**x*/ /* */ x y z { } ; ;";
    let tokens: Vec<&str> = TOKENS.split(' ').collect();
    let mut dice = Dice(2);
    for _ in 0..3000 {
        let count = dice.roll(60);
        let picked = (0..count).map(|_| tokens[dice.roll(tokens.len())]);
        survive(&picked.collect::<Vec<_>>().join(" "));
    }
}

#[test]
fn changed_files_are_survived() {
    let fixtures = fixtures();
    let mut dice = Dice(3);
    let mut accepted = 0;
    for _ in 0..3000 {
        let mut words: Vec<String> = fixtures[dice.roll(fixtures.len())]
            .split_inclusive(|c: char| !c.is_ascii_alphanumeric())
            .map(str::to_owned)
            .collect();
        for _ in 0..=dice.roll(3) {
            change(&mut words, &mut dice);
        }
        accepted += usize::from(survive(&words.concat()));
    }
    // Otherwise nothing was tried of what comes after the parser.
    assert!((300..2700).contains(&accepted), "{accepted}");
}

/// Leaves a word out, repeats it, moves it, or breaks it.
fn change(words: &mut Vec<String>, dice: &mut Dice) {
    let (here, there) = (dice.roll(words.len()), dice.roll(words.len()));
    match dice.roll(5) {
        0 => {
            words.remove(here);
        }
        1 => words.insert(there, words[here].clone()),
        2 => words.swap(here, there),
        3 => words[here] = words[there].clone(),
        _ => words[here].push(char::from(dice.roll(128) as u8)),
    }
}
