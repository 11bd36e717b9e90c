//! Names: on the wire, of what is written for an interface, and that none is taken twice.

use std::collections::HashMap;

use quote::format_ident;
use syn::{Error, Ident};

use crate::interface::{Event, Interface, Method};

/// What every proxy has.
const OF_PROXIES: [&str; 3] = ["new", "named", "proxy"];

/// What every interface's trait has.
const OF_TRAITS: [&str; 1] = ["attached"];

/// A name without what Rust's keywords make necessary.
pub(crate) fn bare(name: &Ident) -> String {
    let name = name.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    name.trim_end_matches('_').to_owned()
}

/// A name as it is on the wire: in camel case.
pub(crate) fn on_wire(name: &Ident) -> String {
    let mut wire = String::new();
    for (n, word) in bare(name)
        .split('_')
        .filter(|word| !word.is_empty())
        .enumerate()
    {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        if n > 0 {
            wire.extend(first.chars().flat_map(char::to_uppercase));
        } else {
            wire.push_str(first);
        }
        wire.push_str(rest);
    }
    wire
}

/// The type of an interface that has this at its end.
pub(crate) fn beside(interface: &Interface, suffix: &str) -> Ident {
    let span = interface.item.ident.span();
    format_ident!("{}{suffix}", interface.item.ident, span = span)
}

/// The type of what an event carries.
pub(crate) fn record(interface: &Interface, event: &Event) -> Ident {
    let wire = on_wire(&event.name);
    let mut letters = wire.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let suffix: String = first.chain(letters).collect();
    format_ident!("{}{suffix}", interface.item.ident, span = event.name.span())
}

/// What watches a property.
pub(crate) fn watch(property: &Method) -> Ident {
    format_ident!(
        "watch_{}",
        bare(&property.name),
        span = property.name.span()
    )
}

/// What subscribes to an event.
pub(crate) fn on(event: &Event) -> Ident {
    format_ident!("on_{}", bare(&event.name), span = event.name.span())
}

/// What tells a property's new value.
pub(crate) fn tell(property: &Method) -> Ident {
    format_ident!("tell_{}", bare(&property.name), span = property.name.span())
}

/// Whether everything that is written has a name of its own.
pub(crate) fn check(interface: &Interface) -> Result<(), Error> {
    let Interface {
        methods,
        properties,
        events,
        ..
    } = interface;
    let mut proxy = Names::new("proxies", &OF_PROXIES);
    let mut own = Names::new("such traits", &OF_TRAITS);
    let mut told = Names::new("its events and changes", &[]);
    let mut types = Names::new("the types beside the trait", &[]);
    let mut wire = [
        Names::new("the methods, as others call them", &[]),
        Names::new("the properties, as others call them", &[]),
        Names::new("the events, as others call them", &[]),
    ];
    for suffix in ["", "Proxy", "Agent", "Events"] {
        types.take(&beside(interface, suffix), false)?;
    }
    let writers = properties
        .iter()
        .filter_map(|property| property.set.as_ref());
    let readers = properties.iter().map(|property| &property.get);
    for method in methods.iter().chain(readers.clone()).chain(writers) {
        own.take(&method.name, method.is_conditional())?;
        proxy.take(&method.name, method.is_conditional())?;
    }
    for method in methods {
        wire[0].take_wire(&method.name, method.is_conditional())?;
    }
    for reader in readers {
        wire[1].take_wire(&reader.name, reader.is_conditional())?;
        proxy.take_for(&reader.name, &watch(reader), reader.is_conditional())?;
        told.take_for(&reader.name, &tell(reader), reader.is_conditional())?;
    }
    for event in events {
        wire[2].take_wire(&event.name, event.is_conditional())?;
        proxy.take_for(&event.name, &on(event), event.is_conditional())?;
        told.take(&event.name, event.is_conditional())?;
        types.take_for(
            &event.name,
            &record(interface, event),
            event.is_conditional(),
        )?;
    }
    Ok(())
}

/// Names that may each be taken once, or by several of which `#[cfg]` leaves one.
struct Names {
    place: &'static str,
    /// Each, and whether it is there only sometimes.
    taken: HashMap<String, bool>,
}

impl Names {
    fn new(place: &'static str, reserved: &[&str]) -> Self {
        let taken = reserved.iter().map(|name| ((*name).to_owned(), false));
        Self {
            place,
            taken: taken.collect(),
        }
    }

    fn take(&mut self, name: &Ident, is_conditional: bool) -> Result<(), Error> {
        self.take_for(name, name, is_conditional)
    }

    fn take_wire(&mut self, of: &Ident, is_conditional: bool) -> Result<(), Error> {
        let name = on_wire(of);
        if name.is_empty() {
            return Err(Error::new(of.span(), "expected a name with a letter in it"));
        }
        self.take_text(of, name, is_conditional)
    }

    /// Takes a name that is made of another.
    fn take_for(&mut self, of: &Ident, name: &Ident, is_conditional: bool) -> Result<(), Error> {
        let name = name.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name).to_owned();
        self.take_text(of, name, is_conditional)
    }

    fn take_text(&mut self, of: &Ident, name: String, is_conditional: bool) -> Result<(), Error> {
        match self.taken.get(&name) {
            Some(other) if !(*other && is_conditional) => {
                let place = self.place;
                let message = format!("expected another name: {place} have a `{name}` already");
                Err(Error::new(of.span(), message))
            }
            _ => {
                self.taken.insert(name, is_conditional);
                Ok(())
            }
        }
    }
}
