//! The interface that a trait declares.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Ident, ItemTrait, LitInt, Meta, ReturnType, Token, TraitItem, TraitItemFn,
    Type,
};

use crate::names::{self, bare};
use crate::signature::{event, method};

/// What a trait declares.
pub(crate) struct Interface {
    /// The trait without what is not its own: events, and the marks.
    pub(crate) item: ItemTrait,
    pub(crate) version: Option<u32>,
    pub(crate) methods: Vec<Method>,
    pub(crate) properties: Vec<Property>,
    pub(crate) events: Vec<Event>,
}

/// Something with parameters.
pub(crate) struct Method {
    pub(crate) attributes: Attributes,
    pub(crate) name: Ident,
    pub(crate) params: Vec<(Ident, Type)>,
    pub(crate) returns: Returns,
    pub(crate) is_async: bool,
}

pub(crate) struct Property {
    pub(crate) get: Method,
    pub(crate) set: Option<Method>,
}

pub(crate) struct Event {
    pub(crate) attributes: Attributes,
    pub(crate) name: Ident,
    pub(crate) params: Vec<(Ident, Type)>,
}

/// Attributes of a function that are also those of what is written for it.
pub(crate) struct Attributes {
    /// Whether it is there at all.
    pub(crate) cfg: Vec<Attribute>,
    /// What it tells who uses it: its documentation, and that it is deprecated.
    pub(crate) told: Vec<Attribute>,
}

/// What comes back, and whether there may be an error instead.
pub(crate) struct Returns {
    pub(crate) value: Type,
    pub(crate) fallible: bool,
}

#[derive(PartialEq)]
enum Mark {
    Method,
    Property,
    Event,
}

impl Method {
    pub(crate) fn is_conditional(&self) -> bool {
        !self.attributes.cfg.is_empty()
    }
}

impl Event {
    pub(crate) fn is_conditional(&self) -> bool {
        !self.attributes.cfg.is_empty()
    }
}

impl ToTokens for Attributes {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let (cfg, told) = (&self.cfg, &self.told);
        tokens.extend(quote!(#(#cfg)* #(#told)*));
    }
}

pub(crate) fn read(args: TokenStream, item: TokenStream) -> Result<Interface, Error> {
    let version = version(args)?;
    let mut item: ItemTrait = syn::parse2(item)?;
    plain(&item)?;
    let mut interface = Interface {
        version,
        methods: Vec::new(),
        properties: Vec::new(),
        events: Vec::new(),
        item: item.clone(),
    };
    let mut writers = Vec::new();
    let mut kept = Vec::new();
    for member in item.items {
        let TraitItem::Fn(mut function) = member else {
            let message = "expected methods, properties and events";
            return Err(Error::new_spanned(member, message));
        };
        match take_mark(&mut function)? {
            Mark::Event => {
                interface.events.push(event(&function)?);
                continue;
            }
            Mark::Method => interface.methods.push(method(&function)?),
            Mark::Property if is_writer(&function) => writers.push(method(&function)?),
            Mark::Property => interface.properties.push(Property {
                get: method(&function)?,
                set: None,
            }),
        }
        kept.push(TraitItem::Fn(function));
    }
    for writer in writers {
        join(&mut interface.properties, writer)?;
    }
    for property in &interface.properties {
        if !property.get.params.is_empty() {
            let message = "a property's reader has no parameters";
            return Err(Error::new_spanned(&property.get.name, message));
        }
    }
    item.items = kept;
    interface.item.items = item.items;
    names::check(&interface)?;
    Ok(interface)
}

/// Whether a trait is one of which both sides know all.
fn plain(item: &ItemTrait) -> Result<(), Error> {
    if let Some(parameter) = item.generics.params.first() {
        let message = "an interface has no parameters: both sides must know its types";
        return Err(Error::new_spanned(parameter, message));
    }
    if let Some(clause) = &item.generics.where_clause {
        return Err(Error::new_spanned(
            clause,
            "an interface has no where clause",
        ));
    }
    if let Some(unsafety) = &item.unsafety {
        let message = "expected a plain trait: it is used from elsewhere";
        return Err(Error::new_spanned(unsafety, message));
    }
    match item.attrs.iter().find(|a| a.path().is_ident("cfg")) {
        Some(cfg) => {
            let message = "expected #[cfg] before #[peerage::agent], so that it is for all of it";
            Err(Error::new_spanned(cfg, message))
        }
        None => Ok(()),
    }
}

/// A property's writer begins with `set_`; so may a reader, which has nothing to set and returns something.
fn is_writer(function: &TraitItemFn) -> bool {
    let sig = &function.sig;
    let reads = sig.inputs.len() == 1 && matches!(sig.output, ReturnType::Type(..));
    bare(&sig.ident).starts_with("set_") && !reads
}

fn join(properties: &mut [Property], writer: Method) -> Result<(), Error> {
    if writer.params.len() != 1 {
        let message = "a property's writer has one parameter: the value";
        return Err(Error::new_spanned(&writer.name, message));
    }
    let name = bare(&writer.name);
    let of = name.strip_prefix("set_").unwrap_or(&name);
    let message = if properties.iter().any(|p| bare(&p.get.name) == of) {
        format!("expected one writer of the property `{of}`, got another")
    } else {
        format!("expected the reader of this property: #[property] fn {of}(&self) -> …")
    };
    let is_free = |p: &&mut Property| bare(&p.get.name) == of && p.set.is_none();
    let property = properties.iter_mut().find(is_free);
    let property = property.ok_or_else(|| Error::new_spanned(&writer.name, message))?;
    property.set = Some(writer);
    Ok(())
}

fn version(args: TokenStream) -> Result<Option<u32>, Error> {
    let args = syn::parse::Parser::parse2(Punctuated::<Meta, Token![,]>::parse_terminated, args)?;
    let mut version = None;
    for arg in args {
        let expected = "expected `version = N`";
        let Meta::NameValue(pair) = &arg else {
            return Err(Error::new_spanned(arg, expected));
        };
        if !pair.path.is_ident("version") || version.is_some() {
            return Err(Error::new_spanned(arg, expected));
        }
        let value = &pair.value;
        let number: LitInt = syn::parse2(quote!(#value))?;
        version = Some(number.base10_parse()?);
    }
    Ok(version)
}

fn take_mark(function: &mut TraitItemFn) -> Result<Mark, Error> {
    let mut mark = Mark::Method;
    let mut others = Vec::new();
    for attribute in std::mem::take(&mut function.attrs) {
        let found = if attribute.path().is_ident("property") {
            Mark::Property
        } else if attribute.path().is_ident("event") {
            Mark::Event
        } else {
            others.push(attribute);
            continue;
        };
        if mark != Mark::Method {
            let message = "expected one of #[property] and #[event], got two";
            return Err(Error::new_spanned(attribute, message));
        }
        mark = found;
    }
    function.attrs = others;
    Ok(mark)
}
