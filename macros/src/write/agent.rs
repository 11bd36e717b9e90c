//! What lets others use an object.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, Type};

use super::local;
use crate::interface::{Interface, Method, Property};
use crate::names::{bare, beside, on_wire};

pub(super) fn agent(interface: &Interface) -> TokenStream {
    let (vis, own) = (&interface.item.vis, &interface.item.ident);
    let agent = beside(interface, "Agent");
    let doc = format!("Lets others use anything that is a [`{own}`].");
    let serves = serves(interface);
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #vis struct #agent<__Object>(::std::sync::Arc<__Object>);

        #[allow(dead_code, reason = "an interface may offer more than one side uses")]
        impl<__Object> #agent<__Object> {
            /// An object, to be used by others.
            pub fn new(object: __Object) -> Self {
                Self(::std::sync::Arc::new(object))
            }

            /// As `new`, for an object that is shared.
            pub fn of(object: ::std::sync::Arc<__Object>) -> Self {
                Self(object)
            }
        }

        #serves
    }
}

fn serves(interface: &Interface) -> TokenStream {
    let own = &interface.item.ident;
    let (agent, events) = (beside(interface, "Agent"), beside(interface, "Events"));
    let (what, signatures) = (what(interface), signatures(interface));
    let (args, request) = (local("args"), local("request"));
    let answers = interface.methods.iter().map(|method| answer(own, method));
    let property_answers = interface
        .properties
        .iter()
        .map(|property| property_answers(own, property));
    quote! {
        #[allow(deprecated, reason = "who still uses it is warned, and is answered")]
        impl<__Object: #own + 'static> ::peerage::rpc::Agent for #agent<__Object> {
            fn interface(&self) -> ::peerage::rpc::Interface {
                #what
            }

            fn signatures(&self) -> ::std::vec::Vec<::peerage::rpc::Signature> {
                ::std::vec::Vec::from([#(#signatures),*])
            }

            fn handle(
                self: ::std::sync::Arc<Self>,
                #request: ::peerage::rpc::Request<'_>,
            ) -> ::peerage::rpc::Handling {
                let #args = #request.args;
                match (#request.act, #request.name) {
                    #(#answers)*
                    #(#property_answers)*
                    (act, name) => {
                        ::core::mem::drop(#args);
                        let error = ::peerage::rpc::Agent::interface(&*self).unknown(act, name);
                        ::std::boxed::Box::pin(async move { ::core::result::Result::Err(error) })
                    }
                }
            }

            fn attached(&self, emitter: ::peerage::rpc::Emitter) {
                <__Object as #own>::attached(&self.0, #events(emitter));
            }
        }
    }
}

/// What the agent is and has, as a value.
fn what(interface: &Interface) -> TokenStream {
    let called = interface.item.ident.to_string();
    let version = match interface.version {
        Some(version) => quote!(::core::option::Option::Some(#version)),
        None => quote!(::core::option::Option::None),
    };
    let named = |method: &Method| {
        let (cfg, wire) = (&method.attributes.cfg, on_wire(&method.name));
        quote!(#(#cfg)* #wire)
    };
    let methods = interface.methods.iter().map(named);
    let properties = interface.properties.iter().map(|p| named(&p.get));
    let events = interface.events.iter().map(|event| {
        let (cfg, wire) = (&event.attributes.cfg, on_wire(&event.name));
        quote!(#(#cfg)* #wire)
    });
    quote! {
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        ::peerage::rpc::Interface {
            name: #called.into(),
            version: #version,
            methods: names(&[#(#methods),*]),
            properties: names(&[#(#properties),*]),
            events: ::core::option::Option::Some(names(&[#(#events),*])),
        }
    }
}

/// The types of its methods, for people.
fn signatures(interface: &Interface) -> Vec<TokenStream> {
    let signature = |method: &Method| {
        let (cfg, wire) = (&method.attributes.cfg, on_wire(&method.name));
        let params = method.params.iter().map(|(param, ty)| {
            let (name, ty) = (bare(param), in_words(ty));
            quote!((#name, #ty))
        });
        let returns = in_words(&method.returns.value);
        quote! {
            #(#cfg)*
            ::peerage::rpc::Signature::new(#wire, &[#(#params),*], #returns)
        }
    };
    interface.methods.iter().map(signature).collect()
}

/// A type as people write it.
fn in_words(ty: &Type) -> String {
    let mut text = quote!(#ty).to_string();
    for (apart, together) in [
        (" :: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ] {
        text = text.replace(apart, together);
    }
    text
}

fn answer(own: &Ident, method: &Method) -> TokenStream {
    let (wire, count) = (on_wire(&method.name), method.params.len());
    let (args, result) = (local("args"), local("result"));
    let reads = method
        .params
        .iter()
        .enumerate()
        .map(|(place, (param, ty))| {
            let name = bare(param);
            quote!(let #param: #ty = #args.argument_called(#place, #name)?;)
        });
    let names: Vec<_> = method
        .params
        .iter()
        .map(|(param, _)| param.clone())
        .collect();
    let (cfg, invoked) = (&method.attributes.cfg, invoke(own, method, &names));
    quote! {
        #(#cfg)*
        (::peerage::rpc::Act::Call, #wire) => ::std::boxed::Box::pin(async move {
            #args.check_arguments(#count)?;
            #(#reads)*
            let #result = #invoked;
            ::core::result::Result::Ok(::peerage::rpc::Parcel::of(&#result)?)
        }),
    }
}

fn property_answers(own: &Ident, property: &Property) -> TokenStream {
    let wire = on_wire(&property.get.name);
    let (args, result) = (local("args"), local("result"));
    let (cfg, got) = (
        &property.get.attributes.cfg,
        invoke(own, &property.get, &[]),
    );
    let set = property.set.iter().map(|set| {
        let (param, ty) = &set.params[0];
        let cfg = &set.attributes.cfg;
        let done = invoke(own, set, std::slice::from_ref(param));
        quote! {
            #(#cfg)*
            (::peerage::rpc::Act::Set, #wire) => ::std::boxed::Box::pin(async move {
                let #param: #ty = #args.read()?;
                let _: () = #done;
                ::core::result::Result::Ok(::core::default::Default::default())
            }),
        }
    });
    quote! {
        #(#cfg)*
        (::peerage::rpc::Act::Get | ::peerage::rpc::Act::Watch, #wire) => ::std::boxed::Box::pin(async move {
            let #result = #got;
            ::core::result::Result::Ok(::peerage::rpc::Parcel::of(&#result)?)
        }),
        #(#set)*
    }
}

fn invoke(own: &Ident, method: &Method, args: &[Ident]) -> TokenStream {
    let name = &method.name;
    let awaited = method.is_async.then(|| quote!(.await));
    let checked = method
        .returns
        .fallible
        .then(|| quote!(.map_err(::peerage::rpc::CallError::from)?));
    quote!(<__Object as #own>::#name(&self.0 #(, #args)*) #awaited #checked)
}
