//! What is written for an interface.

mod agent;
mod events;
mod proxy;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Type, parse_quote};

use crate::interface::Interface;
use crate::names::beside;

pub(crate) fn all(interface: &Interface) -> TokenStream {
    let parts = [
        own_trait(interface),
        proxy::proxy(interface),
        proxy::travels(interface),
        agent::agent(interface),
        events::events(interface),
    ];
    parts.into_iter().collect()
}

/// The trait, of which every future can be sent, and which may learn how to tell its events.
fn own_trait(interface: &Interface) -> TokenStream {
    let mut item = interface.item.clone();
    for member in &mut item.items {
        if let syn::TraitItem::Fn(function) = member
            && function.sig.asyncness.take().is_some()
        {
            let output: Type = match &function.sig.output {
                syn::ReturnType::Default => parse_quote!(()),
                syn::ReturnType::Type(_, ty) => (**ty).clone(),
            };
            function.sig.output = parse_quote! {
                -> impl ::core::future::Future<Output = #output> + ::core::marker::Send
            };
        }
    }
    let events = beside(interface, "Events");
    item.items.push(parse_quote! {
        /// It can be reached from now on, and tells its events by `events`.
        fn attached(&self, events: #events) {
            ::core::mem::drop(events);
        }
    });
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    quote!(#item)
}

/// A variable that is no parameter of anybody's, whatever those are called.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
