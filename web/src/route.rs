//! Which view is shown, and of what: the page's address after `#`, so that it can be linked to and the browser's
//! own buttons work.

use js_sys::{decode_uri_component, encode_uri_component};
use leptos::prelude::*;

/// A view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    #[default]
    Map,
    Nodes,
    Operations,
    Topics,
    Frames,
    Log,
    Prompt,
}

/// A view, and what of it: a node, a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) view: View,
    pub(crate) of: Option<String>,
}

impl View {
    pub(crate) const ALL: [Self; 7] = [
        Self::Map,
        Self::Nodes,
        Self::Operations,
        Self::Topics,
        Self::Frames,
        Self::Log,
        Self::Prompt,
    ];

    /// Its word in the address.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Nodes => "nodes",
            Self::Operations => "operations",
            Self::Topics => "topics",
            Self::Frames => "frames",
            Self::Log => "log",
            Self::Prompt => "prompt",
        }
    }

    /// Its title.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Map => "Map",
            Self::Nodes => "Nodes",
            Self::Operations => "Operations",
            Self::Topics => "Topics",
            Self::Frames => "Frames",
            Self::Log => "Log",
            Self::Prompt => "Prompt",
        }
    }

    /// The address of the whole view.
    pub(crate) fn address(self) -> String {
        format!("#/{}", self.word())
    }

    /// The address of something in it.
    pub(crate) fn address_of(self, what: &str) -> String {
        let parts = what.split('/').map(|part| {
            let part = encode_uri_component(part);
            String::from(part)
        });
        format!("#/{}/{}", self.word(), parts.collect::<Vec<_>>().join("/"))
    }
}

impl Route {
    /// What an address means. What means nothing is the first view.
    pub(crate) fn read(hash: &str) -> Self {
        let path = hash.trim_start_matches('#').trim_start_matches('/');
        let (word, of) = match path.split_once('/') {
            Some((word, of)) => (word, Some(of).filter(|of| !of.is_empty())),
            None => (path, None),
        };
        let view = View::ALL.into_iter().find(|view| view.word() == word);
        let of = of.and_then(|of| decode_uri_component(of).ok().map(String::from));
        match view {
            Some(view) => Self { view, of },
            None => Self::default(),
        }
    }

    /// What the page's address means now.
    pub(crate) fn now() -> Self {
        Self::read(&window().location().hash().unwrap_or_default())
    }
}

/// Goes to an address within the page.
pub(crate) fn go(address: &str) {
    // The page's own address can be changed after `#`.
    let _ = window().location().set_hash(address);
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for (view, of) in [
            (View::Nodes, "right"),
            (View::Topics, "cups/left one/ü"),
            (View::Operations, "50% & more"),
        ] {
            let route = Route::read(&view.address_of(of));
            assert_eq!(
                route,
                Route {
                    view,
                    of: Some(of.into())
                }
            );
            assert_eq!(Route::read(&view.address()), Route { view, of: None });
        }
    }

    #[test]
    fn what_means_nothing_is_the_first_view() {
        for hash in ["", "#", "#/", "#/nowhere", "#nowhere/x", "#/nodes%"] {
            assert_eq!(Route::read(hash), Route::default(), "{hash}");
        }
        assert_eq!(Route::read("#/nodes/").of, None);
    }
}
