//! The interface that a trait declares.

use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, FnArg, Ident, ItemTrait, LitInt, Meta, Pat, ReceiverKind, ReturnType, Token,
    TraitItem, TraitItemFn, Type,
};

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
    pub(crate) docs: Vec<Attribute>,
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
    pub(crate) docs: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) params: Vec<(Ident, Type)>,
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

pub(crate) fn read(args: TokenStream, item: TokenStream) -> Result<Interface, Error> {
    let version = version(args)?;
    let mut item: ItemTrait = syn::parse2(item)?;
    if let Some(parameter) = item.generics.params.first() {
        let message = "an interface has no parameters: both sides must know its types";
        return Err(Error::new_spanned(parameter, message));
    }
    let mut interface = Interface {
        version,
        methods: Vec::new(),
        properties: Vec::new(),
        events: Vec::new(),
        item: item.clone(),
    };
    let mut setters = Vec::new();
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
            Mark::Property if bare(&function.sig.ident).starts_with("set_") => {
                setters.push(method(&function)?);
            }
            Mark::Property => interface.properties.push(Property {
                get: method(&function)?,
                set: None,
            }),
        }
        kept.push(TraitItem::Fn(function));
    }
    for setter in setters {
        join(&mut interface.properties, setter)?;
    }
    for property in &interface.properties {
        if !property.get.params.is_empty() {
            let message = "a property's reader has no parameters";
            return Err(Error::new_spanned(&property.get.name, message));
        }
    }
    item.items = kept;
    interface.item.items = item.items;
    Ok(interface)
}

fn join(properties: &mut [Property], setter: Method) -> Result<(), Error> {
    if setter.params.len() != 1 {
        let message = "a property's writer has one parameter: the value";
        return Err(Error::new_spanned(&setter.name, message));
    }
    let name = bare(&setter.name);
    let of = name.trim_start_matches("set_");
    match properties
        .iter_mut()
        .find(|property| bare(&property.get.name) == of)
    {
        Some(property) => {
            property.set = Some(setter);
            Ok(())
        }
        None => {
            let message =
                format!("expected the reader of this property: #[property] fn {of}(&self) -> …");
            Err(Error::new_spanned(&setter.name, message))
        }
    }
}

fn version(args: TokenStream) -> Result<Option<u32>, Error> {
    let args = syn::parse::Parser::parse2(Punctuated::<Meta, Token![,]>::parse_terminated, args)?;
    let mut version = None;
    for arg in args {
        let expected = "expected `version = N`";
        let Meta::NameValue(pair) = &arg else {
            return Err(Error::new_spanned(arg, expected));
        };
        if !pair.path.is_ident("version") {
            return Err(Error::new_spanned(arg, expected));
        }
        let value = &pair.value;
        let number: LitInt = syn::parse2(quote::quote!(#value))?;
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

fn method(function: &TraitItemFn) -> Result<Method, Error> {
    let sig = &function.sig;
    let mut inputs = sig.inputs.iter();
    let by_reference = matches!(
        inputs.next(),
        Some(FnArg::Receiver(receiver)) if matches!(receiver.kind, ReceiverKind::Reference(_, _, None))
    );
    if !by_reference {
        let message = "expected &self: an object is used by several at once";
        return Err(Error::new_spanned(sig, message));
    }
    if let Some(body) = &function.default {
        let message = "a method of an interface has no body";
        return Err(Error::new_spanned(body, message));
    }
    Ok(Method {
        docs: docs(function),
        name: sig.ident.clone(),
        params: params(inputs)?,
        returns: returns(&sig.output),
        is_async: sig.asyncness.is_some(),
    })
}

fn event(function: &TraitItemFn) -> Result<Event, Error> {
    let sig = &function.sig;
    if !matches!(sig.output, ReturnType::Default) || sig.asyncness.is_some() {
        let message = "an event returns nothing: #[event] fn overflow(at: f64);";
        return Err(Error::new_spanned(sig, message));
    }
    Ok(Event {
        docs: docs(function),
        name: sig.ident.clone(),
        params: params(sig.inputs.iter())?,
    })
}

fn params<'a>(inputs: impl Iterator<Item = &'a FnArg>) -> Result<Vec<(Ident, Type)>, Error> {
    inputs
        .map(|input| {
            let FnArg::Typed(typed) = input else {
                let message = "an event has no self: it is told by `…Events`";
                return Err(Error::new_spanned(input, message));
            };
            if let Type::Reference(reference) = &*typed.ty {
                let message = "expected an owned type, such as String: it comes from elsewhere";
                return Err(Error::new_spanned(reference, message));
            }
            match &*typed.pat {
                Pat::Ident(name) => Ok((name.ident.clone(), (*typed.ty).clone())),
                other => Err(Error::new_spanned(other, "expected a parameter's name")),
            }
        })
        .collect()
}

fn returns(output: &ReturnType) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        let value = syn::parse_quote!(());
        return Returns {
            value,
            fallible: false,
        };
    };
    if let Type::Path(path) = &**ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let syn::PathArguments::AngleBracketed(args) = &last.arguments
        && let Some(syn::GenericArgument::Type(value)) = args.args.first()
    {
        return Returns {
            value: value.clone(),
            fallible: true,
        };
    }
    Returns {
        value: (**ty).clone(),
        fallible: false,
    }
}

fn docs(function: &TraitItemFn) -> Vec<Attribute> {
    let docs = function.attrs.iter().filter(|a| a.path().is_ident("doc"));
    docs.cloned().collect()
}

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
