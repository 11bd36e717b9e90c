//! What uses an object elsewhere.

use proc_macro2::TokenStream;
use quote::quote;

use crate::interface::{Event, Interface, Method, Property};
use crate::names::{self, beside, on_wire};

pub(super) fn proxy(interface: &Interface) -> TokenStream {
    let (vis, proxy) = (&interface.item.vis, beside(interface, "Proxy"));
    let called = interface.item.ident.to_string();
    let doc = format!("Uses a `{called}`, wherever it is.");
    let versioned = interface
        .version
        .map(|version| quote!(.with_version(#version)));
    let methods = interface.methods.iter().map(call);
    let properties = interface.properties.iter().map(property_calls);
    let events = interface.events.iter().map(|event| on(interface, event));
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
                <Self as ::core::convert::From<_>>::from(rpc.proxy(node, agent))
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
                <Self as ::core::convert::From<_>>::from(reference.proxy())
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
pub(super) fn travels(interface: &Interface) -> TokenStream {
    let proxy = beside(interface, "Proxy");
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
                ::core::result::Result::Ok(<Self as ::core::convert::From<_>>::from(reference))
            }
        }
    }
}

fn call(method: &Method) -> TokenStream {
    let Method {
        attributes,
        name,
        params,
        ..
    } = method;
    let (wire, value) = (on_wire(name), &method.returns.value);
    let (names, types): (Vec<_>, Vec<_>) = params.iter().cloned().unzip();
    quote! {
        #attributes
        pub fn #name(&self #(, #names: #types)*) -> ::peerage::rpc::Call<#value> {
            self.0.call(#wire, &(#(&#names,)*))
        }
    }
}

fn property_calls(property: &Property) -> TokenStream {
    let Method {
        attributes,
        name,
        returns,
        ..
    } = &property.get;
    let (wire, value) = (on_wire(name), &returns.value);
    let (cfg, watch) = (&attributes.cfg, names::watch(&property.get));
    let watch_doc = format!("`{wire}`, and each value that it has later.");
    let set = property.set.iter().map(|set| {
        let Method {
            attributes,
            name,
            params,
            ..
        } = set;
        let (param, ty) = &params[0];
        quote! {
            #attributes
            pub fn #name(&self, #param: #ty) -> ::peerage::rpc::Call<()> {
                self.0.set(#wire, &#param)
            }
        }
    });
    quote! {
        #attributes
        pub fn #name(&self) -> ::peerage::rpc::Call<#value> {
            self.0.get(#wire)
        }

        #(#set)*

        #(#cfg)*
        #[doc = #watch_doc]
        pub fn #watch(&self) -> ::peerage::rpc::Subscription<#value> {
            self.0.watch(#wire)
        }
    }
}

fn on(interface: &Interface, event: &Event) -> TokenStream {
    let (attributes, wire) = (&event.attributes, on_wire(&event.name));
    let (on, record) = (names::on(event), names::record(interface, event));
    quote! {
        #attributes
        pub fn #on(&self) -> ::peerage::rpc::Subscription<#record> {
            self.0.on(#wire)
        }
    }
}
