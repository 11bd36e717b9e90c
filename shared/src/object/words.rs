//! Texts that come again and again, such as the names of fields: those that came lately are there once.

use std::sync::Arc;

/// A power of two.
const PLACES: usize = 32;

/// The texts that came lately. There are no places before there are texts.
#[derive(Default)]
pub(super) struct Words(Vec<Option<Arc<str>>>);

impl Words {
    /// The text, shared with what came before, unless another has taken its place.
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if self.0.is_empty() {
            self.0.resize(PLACES, None);
        }
        let place = &mut self.0[place(text)];
        match place {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::clone(place.insert(text.into())),
        }
    }
}

/// Where a text belongs. Keys of one record seldom have all of this in common.
fn place(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = bytes.first().into_iter().chain(bytes.last());
    let mixed = ends.fold(bytes.len(), |mixed, end| mixed * 7 + usize::from(*end));
    mixed % PLACES
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_text_is_there_once_and_two_of_one_place_are_themselves() {
        let mut words = Words::default();
        let (one, again) = (words.get("name"), words.get("name"));
        assert!(Arc::ptr_eq(&one, &again));
        let (other, empty) = (words.get("nome"), words.get(""));
        assert_eq!(
            (&*other, &*empty, &*words.get("name")),
            ("nome", "", "name")
        );
    }
}
