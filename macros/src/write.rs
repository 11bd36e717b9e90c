//! What is written for an interface.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Ident, Type, parse_quote};

use crate::interface::{Event, Interface, Method, Property, bare, on_wire};

pub(crate) fn all(interface: &Interface) -> TokenStream {
    let parts = [
        own_trait(interface),
        proxy(interface),
        proxy_travels(interface),
        agent(interface),
        events(interface),
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
    let events = name(interface, "Events");
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

fn proxy(interface: &Interface) -> TokenStream {
    let (vis, proxy) = (&interface.item.vis, name(interface, "Proxy"));
    let called = interface.item.ident.to_string();
    let doc = format!("Uses a `{called}`, wherever it is.");
    let versioned = interface
        .version
        .map(|version| quote!(.with_version(#version)));
    let methods = interface.methods.iter().map(call);
    let properties = interface.properties.iter().map(property_calls);
    let events = interface.events.iter().map(|event| {
        let (docs, wire) = (&event.docs, on_wire(&event.name));
        let on = format_ident!("on_{}", bare(&event.name));
        let record = record_name(interface, event);
        quote! {
            #(#docs)*
            pub fn #on(&self) -> ::peerage::rpc::Subscription<#record> {
                self.0.on(#wire)
            }
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #vis struct #proxy(::peerage::rpc::Proxy);

        #[allow(dead_code, reason = "an interface may offer more than one side uses")]
        impl #proxy {
            /// The agent that is called as its interface, at the node of this name or id.
            pub fn new(rpc: &::peerage::rpc::Rpc, node: &str) -> Self {
                Self::named(rpc, node, #called)
            }

            /// The agent of a name, at the node of this name or id.
            pub fn named(rpc: &::peerage::rpc::Rpc, node: &str, agent: &str) -> Self {
                Self::from(rpc.proxy(node, agent))
            }

            /// What it is used by.
            pub fn proxy(&self) -> &::peerage::rpc::Proxy {
                &self.0
            }

            #(#methods)*
            #(#properties)*
            #(#events)*
        }

        impl ::core::convert::From<::peerage::rpc::Proxy> for #proxy {
            fn from(proxy: ::peerage::rpc::Proxy) -> Self {
                Self(proxy #versioned)
            }
        }

        impl ::core::convert::From<::peerage::rpc::Reference> for #proxy {
            fn from(reference: ::peerage::rpc::Reference) -> Self {
                Self::from(reference.proxy())
            }
        }

        impl ::core::cmp::PartialEq for #proxy {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
    }
}

/// A proxy travels as the reference that it uses.
fn proxy_travels(interface: &Interface) -> TokenStream {
    let proxy = name(interface, "Proxy");
    quote! {
        impl ::peerage::__private::serde::Serialize for #proxy {
            fn serialize<S>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error>
            where
                S: ::peerage::__private::serde::Serializer,
            {
                ::peerage::__private::serde::Serialize::serialize(&self.0, serializer)
            }
        }

        impl<'de> ::peerage::__private::serde::Deserialize<'de> for #proxy {
            fn deserialize<D>(deserializer: D) -> ::core::result::Result<Self, D::Error>
            where
                D: ::peerage::__private::serde::Deserializer<'de>,
            {
                let reference = <::peerage::rpc::Reference as ::peerage::__private::serde::Deserialize>::deserialize(deserializer)?;
                ::core::result::Result::Ok(Self::from(reference))
            }
        }
    }
}

fn call(method: &Method) -> TokenStream {
    let Method {
        docs, name, params, ..
    } = method;
    let (wire, value) = (on_wire(name), &method.returns.value);
    let (names, types): (Vec<_>, Vec<_>) = params.iter().cloned().unzip();
    quote! {
        #(#docs)*
        pub fn #name(&self #(, #names: #types)*) -> ::peerage::rpc::Call<#value> {
            self.0.call(#wire, &(#(&#names,)*))
        }
    }
}

fn property_calls(property: &Property) -> TokenStream {
    let Method {
        docs,
        name,
        returns,
        ..
    } = &property.get;
    let (wire, value) = (on_wire(name), &returns.value);
    let watch = format_ident!("watch_{}", bare(name));
    let watch_doc = format!("`{wire}`, and each value that it has later.");
    let set = property.set.iter().map(|set| {
        let Method {
            docs, name, params, ..
        } = set;
        let (param, ty) = &params[0];
        quote! {
            #(#docs)*
            pub fn #name(&self, #param: #ty) -> ::peerage::rpc::Call<()> {
                self.0.set(#wire, &#param)
            }
        }
    });
    quote! {
        #(#docs)*
        pub fn #name(&self) -> ::peerage::rpc::Call<#value> {
            self.0.get(#wire)
        }

        #(#set)*

        #[doc = #watch_doc]
        pub fn #watch(&self) -> ::peerage::rpc::Subscription<#value> {
            self.0.watch(#wire)
        }
    }
}

fn agent(interface: &Interface) -> TokenStream {
    let (vis, own) = (&interface.item.vis, &interface.item.ident);
    let (agent, events) = (name(interface, "Agent"), name(interface, "Events"));
    let doc = format!("Lets others use anything that is a [`{own}`].");
    let called = own.to_string();
    let version = match interface.version {
        Some(version) => quote!(::core::option::Option::Some(#version)),
        None => quote!(::core::option::Option::None),
    };
    let methods = interface.methods.iter().map(|m| on_wire(&m.name));
    let properties = interface.properties.iter().map(|p| on_wire(&p.get.name));
    let event_names = interface.events.iter().map(|e| on_wire(&e.name));
    let answers = interface.methods.iter().map(|method| answer(own, method));
    let property_answers = interface
        .properties
        .iter()
        .map(|property| property_answers(own, property));
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #vis struct #agent<T>(::std::sync::Arc<T>);

        #[allow(dead_code, reason = "an interface may offer more than one side uses")]
        impl<T> #agent<T> {
            /// An object, to be used by others.
            pub fn new(object: T) -> Self {
                Self(::std::sync::Arc::new(object))
            }

            /// As `new`, for an object that is shared.
            pub fn of(object: ::std::sync::Arc<T>) -> Self {
                Self(object)
            }
        }

        impl<T: #own + 'static> ::peerage::rpc::Agent for #agent<T> {
            fn interface(&self) -> ::peerage::rpc::Interface {
                let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
                ::peerage::rpc::Interface {
                    name: #called.into(),
                    version: #version,
                    methods: names(&[#(#methods),*]),
                    properties: names(&[#(#properties),*]),
                    events: ::core::option::Option::Some(names(&[#(#event_names),*])),
                }
            }

            fn handle(
                self: ::std::sync::Arc<Self>,
                request: ::peerage::rpc::Request<'_>,
            ) -> ::peerage::rpc::Handling {
                let args = request.args;
                match (request.act, request.name) {
                    #(#answers)*
                    #(#property_answers)*
                    (act, name) => {
                        ::core::mem::drop(args);
                        let error = ::peerage::rpc::Agent::interface(&*self).unknown(act, name);
                        ::std::boxed::Box::pin(async move { ::core::result::Result::Err(error) })
                    }
                }
            }

            fn attached(&self, emitter: ::peerage::rpc::Emitter) {
                <T as #own>::attached(&self.0, #events(emitter));
            }
        }
    }
}

fn answer(own: &Ident, method: &Method) -> TokenStream {
    let (wire, count) = (on_wire(&method.name), method.params.len());
    let reads = method
        .params
        .iter()
        .enumerate()
        .map(|(place, (param, ty))| {
            let name = bare(param);
            quote!(let #param: #ty = args.argument_called(#place, #name)?;)
        });
    let names: Vec<_> = method
        .params
        .iter()
        .map(|(param, _)| param.clone())
        .collect();
    let result = invoke(own, method, &names);
    quote! {
        (::peerage::rpc::Act::Call, #wire) => ::std::boxed::Box::pin(async move {
            args.check_arguments(#count)?;
            #(#reads)*
            let result = #result;
            ::core::result::Result::Ok(::peerage::rpc::Parcel::of(&result)?)
        }),
    }
}

fn property_answers(own: &Ident, property: &Property) -> TokenStream {
    let wire = on_wire(&property.get.name);
    let got = invoke(own, &property.get, &[]);
    let set = property.set.iter().map(|set| {
        let (param, ty) = &set.params[0];
        let done = invoke(own, set, std::slice::from_ref(param));
        quote! {
            (::peerage::rpc::Act::Set, #wire) => ::std::boxed::Box::pin(async move {
                let #param: #ty = args.read()?;
                let _: () = #done;
                ::core::result::Result::Ok(::core::default::Default::default())
            }),
        }
    });
    quote! {
        (::peerage::rpc::Act::Get | ::peerage::rpc::Act::Watch, #wire) => ::std::boxed::Box::pin(async move {
            let result = #got;
            ::core::result::Result::Ok(::peerage::rpc::Parcel::of(&result)?)
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
    quote!(<T as #own>::#name(&self.0 #(, #args)*) #awaited #checked)
}

fn events(interface: &Interface) -> TokenStream {
    let (vis, own) = (&interface.item.vis, &interface.item.ident);
    let events = name(interface, "Events");
    let doc = format!("Tells the events of a [`{own}`], and what its properties have become.");
    let tells = interface.events.iter().map(|event| {
        let Event { docs, name, params } = event;
        let (wire, record) = (on_wire(name), record_name(interface, event));
        let (names, types): (Vec<_>, Vec<_>) = params.iter().cloned().unzip();
        quote! {
            #(#docs)*
            pub fn #name(&self #(, #names: #types)*) -> ::core::result::Result<(), ::peerage::object::ObjectError> {
                self.0.emit(#wire, &#record { #(#names),* })
            }
        }
    });
    let changes = interface.properties.iter().map(|property| {
        let (wire, value) = (on_wire(&property.get.name), &property.get.returns.value);
        let changed = format_ident!("tell_{}", bare(&property.get.name));
        let doc = format!("`{wire}` is this now.");
        quote! {
            #[doc = #doc]
            pub fn #changed(&self, value: &#value) -> ::core::result::Result<(), ::peerage::object::ObjectError> {
                self.0.changed(#wire, value)
            }
        }
    });
    let records = interface
        .events
        .iter()
        .map(|event| record(interface, event));
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug)]
        #vis struct #events(::peerage::rpc::Emitter);

        #[allow(dead_code, reason = "an interface may offer more than one side uses")]
        impl #events {
            #(#tells)*
            #(#changes)*
        }

        #(#records)*
    }
}

fn record(interface: &Interface, event: &Event) -> TokenStream {
    let (vis, record) = (&interface.item.vis, record_name(interface, event));
    let doc = format!("What the event `{}` carries.", on_wire(&event.name));
    let fields = event.params.iter().map(|(name, ty)| {
        let (wire, doc) = (on_wire(name), format!("`{}`.", on_wire(name)));
        quote! {
            #[doc = #doc]
            #[serde(rename = #wire)]
            pub #name: #ty
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(
            Clone, Debug,
            ::peerage::__private::serde::Serialize, ::peerage::__private::serde::Deserialize
        )]
        #[serde(crate = "::peerage::__private::serde")]
        #vis struct #record { #(#fields),* }
    }
}

fn record_name(interface: &Interface, event: &Event) -> Ident {
    let wire = on_wire(&event.name);
    let mut letters = wire.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format_ident!("{}{first}{}", interface.item.ident, letters.as_str())
}

fn name(interface: &Interface, suffix: &str) -> Ident {
    let name = format!("{}{suffix}", interface.item.ident);
    Ident::new(&name, Span::call_site())
}
