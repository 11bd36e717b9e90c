//! What a trait's functions say of methods, properties and events; and what they may not say.

use syn::{
    Attribute, Error, FnArg, Ident, Pat, ReceiverKind, ReturnType, Safety, Signature, TraitItemFn,
    Type,
};

use crate::interface::{Attributes, Event, Method, Returns};

pub(crate) fn method(function: &TraitItemFn) -> Result<Method, Error> {
    let sig = &function.sig;
    plain(function)?;
    let mut inputs = sig.inputs.iter();
    let by_reference = matches!(
        inputs.next(),
        Some(FnArg::Receiver(receiver)) if matches!(receiver.kind, ReceiverKind::Reference(_, None, None))
    );
    if !by_reference {
        let message = "expected &self: an object is used by several at once";
        return Err(Error::new_spanned(sig, message));
    }
    Ok(Method {
        attributes: attributes(function),
        name: sig.ident.clone(),
        params: params(inputs)?,
        returns: returns(&sig.output)?,
        is_async: sig.asyncness.is_some(),
    })
}

pub(crate) fn event(function: &TraitItemFn) -> Result<Event, Error> {
    let sig = &function.sig;
    plain(function)?;
    if !matches!(sig.output, ReturnType::Default) || sig.asyncness.is_some() {
        let message = "an event returns nothing: #[event] fn overflow(at: f64);";
        return Err(Error::new_spanned(sig, message));
    }
    Ok(Event {
        attributes: attributes(function),
        name: sig.ident.clone(),
        params: params(sig.inputs.iter())?,
    })
}

/// Whether a function is one that can be called from elsewhere.
fn plain(function: &TraitItemFn) -> Result<(), Error> {
    if let Some(body) = &function.default {
        let message = "a method of an interface has no body";
        return Err(Error::new_spanned(body, message));
    }
    let Signature {
        constness,
        safety,
        abi,
        generics,
        variadic,
        ..
    } = &function.sig;
    if let Some(parameter) = generics.params.first() {
        let message =
            "a method has no type parameters and lifetimes: both sides must know its types";
        return Err(Error::new_spanned(parameter, message));
    }
    if let Some(clause) = &generics.where_clause {
        return Err(Error::new_spanned(clause, "a method has no where clause"));
    }
    let message = "expected a plain `fn` or `async fn`: it is called from elsewhere";
    if let Some(constness) = constness {
        return Err(Error::new_spanned(constness, message));
    }
    if !matches!(safety, Safety::Default) {
        return Err(Error::new_spanned(safety, message));
    }
    if let Some(abi) = abi {
        return Err(Error::new_spanned(abi, message));
    }
    match variadic {
        Some(variadic) => Err(Error::new_spanned(variadic, message)),
        None => Ok(()),
    }
}

fn params<'a>(inputs: impl Iterator<Item = &'a FnArg>) -> Result<Vec<(Ident, Type)>, Error> {
    inputs
        .map(|input| {
            let FnArg::Typed(typed) = input else {
                let message = "an event has no self: it is told by `…Events`";
                return Err(Error::new_spanned(input, message));
            };
            if let Some(attribute) = typed.attrs.first() {
                let message = "a parameter has no attributes: both sides must know of it";
                return Err(Error::new_spanned(attribute, message));
            }
            let ty = owned(&typed.ty)?;
            match &*typed.pat {
                Pat::Ident(name)
                    if name.by_ref.is_none()
                        && name.mutability.is_none()
                        && name.subpat.is_none() =>
                {
                    Ok((name.ident.clone(), ty.clone()))
                }
                other => Err(Error::new_spanned(
                    other,
                    "expected a parameter's name alone",
                )),
            }
        })
        .collect()
}

fn returns(output: &ReturnType) -> Result<Returns, Error> {
    let ReturnType::Type(_, ty) = output else {
        let value = syn::parse_quote!(());
        return Ok(Returns {
            value,
            fallible: false,
        });
    };
    let ty = owned(ty)?;
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let syn::PathArguments::AngleBracketed(args) = &last.arguments
        && let Some(syn::GenericArgument::Type(value)) = args.args.first()
    {
        return Ok(Returns {
            value: owned(value)?.clone(),
            fallible: true,
        });
    }
    Ok(Returns {
        value: ty.clone(),
        fallible: false,
    })
}

/// A type that may travel, as far as can be seen, without what a macro or parentheses put around it.
fn owned(ty: &Type) -> Result<&Type, Error> {
    match ty {
        Type::Group(group) => owned(&group.elem),
        Type::Paren(paren) => owned(&paren.elem),
        Type::Reference(_) | Type::ImplTrait(_) | Type::TraitObject(_) | Type::Ptr(_) => {
            let message = "expected an owned type, such as String: it comes from elsewhere";
            Err(Error::new_spanned(ty, message))
        }
        _ => Ok(ty),
    }
}

fn attributes(function: &TraitItemFn) -> Attributes {
    let named = |name: &'static str| {
        let attributes = function.attrs.iter();
        let found = attributes.filter(move |attribute| attribute.path().is_ident(name));
        found.cloned().collect::<Vec<Attribute>>()
    };
    Attributes {
        cfg: named("cfg"),
        told: [named("doc"), named("deprecated")].concat(),
    }
}
