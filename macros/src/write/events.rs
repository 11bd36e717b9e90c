//! What tells the events of an object, and what they carry.

use proc_macro2::TokenStream;
use quote::quote;

use crate::interface::{Event, Interface, Property};
use crate::names::{self, beside, on_wire, record};

pub(super) fn events(interface: &Interface) -> TokenStream {
    let (vis, own) = (&interface.item.vis, &interface.item.ident);
    let events = beside(interface, "Events");
    let doc = format!("Tells the events of a [`{own}`], and what its properties have become.");
    let tells = interface.events.iter().map(|event| tell(interface, event));
    let changes = interface.properties.iter().map(tell_changed);
    let records = interface
        .events
        .iter()
        .map(|event| carried(interface, event));
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

fn tell(interface: &Interface, event: &Event) -> TokenStream {
    let Event {
        attributes,
        name,
        params,
    } = event;
    let (wire, record) = (on_wire(name), record(interface, event));
    let (names, types): (Vec<_>, Vec<_>) = params.iter().cloned().unzip();
    quote! {
        #attributes
        pub fn #name(&self #(, #names: #types)*) -> ::core::result::Result<(), ::peerage::object::ObjectError> {
            self.0.emit(#wire, &#record { #(#names),* })
        }
    }
}

fn tell_changed(property: &Property) -> TokenStream {
    let (cfg, value) = (&property.get.attributes.cfg, &property.get.returns.value);
    let (wire, tell) = (on_wire(&property.get.name), names::tell(&property.get));
    let doc = format!("`{wire}` is this now.");
    quote! {
        #(#cfg)*
        #[doc = #doc]
        pub fn #tell(&self, value: &#value) -> ::core::result::Result<(), ::peerage::object::ObjectError> {
            self.0.changed(#wire, value)
        }
    }
}

fn carried(interface: &Interface, event: &Event) -> TokenStream {
    let (vis, record) = (&interface.item.vis, record(interface, event));
    let (cfg, doc) = (
        &event.attributes.cfg,
        format!("What the event `{}` carries.", on_wire(&event.name)),
    );
    let fields = event.params.iter().map(|(name, ty)| {
        let (wire, doc) = (on_wire(name), format!("`{}`.", on_wire(name)));
        quote! {
            #[doc = #doc]
            #[serde(rename = #wire)]
            pub #name: #ty
        }
    });
    quote! {
        #(#cfg)*
        #[doc = #doc]
        #[derive(
            Clone, Debug,
            ::peerage::__private::serde::Serialize, ::peerage::__private::serde::Deserialize
        )]
        #[serde(crate = "::peerage::__private::serde")]
        #vis struct #record { #(#fields),* }
    }
}
