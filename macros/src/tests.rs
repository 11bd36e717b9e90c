//! What is no interface, and what is said of it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::interface::{Interface, read};

fn refused(trait_: TokenStream) -> String {
    match read(TokenStream::new(), trait_.clone()) {
        Ok(_) => panic!("not refused: {trait_}"),
        Err(error) => error.to_string(),
    }
}

fn taken(trait_: TokenStream) -> Interface {
    read(TokenStream::new(), trait_).unwrap()
}

#[test]
fn what_cannot_be_called_from_elsewhere_is_refused() {
    for (member, message) in [
        (
            quote!(
                fn f<T>(&self, t: T);
            ),
            "no type parameters",
        ),
        (
            quote!(
                fn f<'a>(&self, t: Cow<'a, str>);
            ),
            "no type parameters",
        ),
        (
            quote!(
                fn f(&'static self);
            ),
            "expected &self",
        ),
        (
            quote!(
                fn f(&mut self);
            ),
            "expected &self",
        ),
        (
            quote!(
                fn f(self);
            ),
            "expected &self",
        ),
        (
            quote!(
                fn f();
            ),
            "expected &self",
        ),
        (
            quote!(
                fn f(&self)
                where
                    Self: Sized;
            ),
            "no where clause",
        ),
        (
            quote!(
                const fn f(&self);
            ),
            "expected a plain `fn`",
        ),
        (
            quote!(
                unsafe fn f(&self);
            ),
            "expected a plain `fn`",
        ),
        (
            quote!(
                extern "C" fn f(&self);
            ),
            "expected a plain `fn`",
        ),
        (
            quote!(
                fn f(&self) {}
            ),
            "has no body",
        ),
        (
            quote!(
                type T;
            ),
            "expected methods, properties and events",
        ),
        (
            quote!(
                const N: u8;
            ),
            "expected methods, properties and events",
        ),
        (
            quote!(
                fn f(&self, mut x: u8);
            ),
            "expected a parameter's name alone",
        ),
        (
            quote!(
                fn f(&self, (a, b): (u8, u8));
            ),
            "expected a parameter's name alone",
        ),
        (
            quote!(
                fn f(&self, _: u8);
            ),
            "expected a parameter's name alone",
        ),
        (
            quote!(
                fn f(&self, #[cfg(x)] a: u8);
            ),
            "no attributes",
        ),
        (
            quote!(
                fn f(&self, a: &str);
            ),
            "expected an owned type",
        ),
        (
            quote!(
                fn f(&self, a: impl Fn());
            ),
            "expected an owned type",
        ),
        (
            quote!(
                fn f(&self) -> &str;
            ),
            "expected an owned type",
        ),
        (
            quote!(
                fn f(&self) -> Result<&str, E>;
            ),
            "expected an owned type",
        ),
        (
            quote!(
                #[event]
                fn e(&self);
            ),
            "an event has no self",
        ),
        (
            quote!(
                #[event]
                fn e<T>(t: T);
            ),
            "no type parameters",
        ),
        (
            quote!(
                #[event]
                fn e() -> u8;
            ),
            "an event returns nothing",
        ),
        (
            quote!(
                #[event]
                #[property]
                fn e();
            ),
            "got two",
        ),
    ] {
        let told = refused(quote!(trait Calc { #member }));
        assert!(told.contains(message), "{member}: {told}");
    }
    for (trait_, message) in [
        (
            quote!(
                trait Calc<T> {}
            ),
            "no parameters",
        ),
        (
            quote!(
                trait Calc
                where
                    Self: Sized,
                {
                }
            ),
            "no where clause",
        ),
        (
            quote!(
                unsafe trait Calc {}
            ),
            "a plain trait",
        ),
        (
            quote!(
                #[cfg(x)]
                trait Calc {}
            ),
            "#[cfg] before",
        ),
    ] {
        let told = refused(trait_.clone());
        assert!(told.contains(message), "{trait_}: {told}");
    }
}

#[test]
fn a_name_that_is_taken_is_refused_where_it_is_written() {
    let property = quote!(
        #[property]
        fn total(&self) -> u8;
    );
    for (members, message) in [
        (
            quote!(
                fn new(&self);
            ),
            "proxies have a `new` already",
        ),
        (
            quote!(
                fn named(&self);
            ),
            "proxies have a `named` already",
        ),
        (
            quote!(
                fn proxy(&self);
            ),
            "proxies have a `proxy` already",
        ),
        (
            quote!(
                #[property]
                fn proxy(&self) -> u8;
            ),
            "proxies have a `proxy` already",
        ),
        (
            quote!(
                fn attached(&self);
            ),
            "such traits have a `attached` already",
        ),
        (
            quote!(#property #[event] fn tell_total();),
            "changes have a `tell_total` already",
        ),
        (
            quote!(#property fn watch_total(&self);),
            "proxies have a `watch_total` already",
        ),
        (quote!(#property fn total(&self);), "have a `total` already"),
        (
            quote!(
                fn on_x(&self);
                #[event]
                fn x();
            ),
            "proxies have a `on_x` already",
        ),
        (
            quote!(
                #[event]
                fn proxy();
            ),
            "types beside the trait have a `CalcProxy` already",
        ),
        (
            quote!(
                #[event]
                fn agent();
            ),
            "have a `CalcAgent` already",
        ),
        (
            quote!(
                #[event]
                fn events();
            ),
            "have a `CalcEvents` already",
        ),
        (
            quote!(
                fn a_b(&self);
                fn a__b(&self);
            ),
            "as others call them have a `aB` already",
        ),
        (
            quote!(
                fn r#type(&self);
                fn type_(&self);
            ),
            "have a `type` already",
        ),
        (
            quote!(
                fn __(&self);
            ),
            "a letter in it",
        ),
        (
            quote!(#property #[property] fn set_total(&self);),
            "has one parameter",
        ),
        (
            quote!(
                #[property]
                fn set_total(&self, n: u8);
            ),
            "expected the reader",
        ),
        (
            quote!(#property #[property] fn set_total(&self, n: u8); #[property] fn set_total_(&self, n: u8);),
            "got another",
        ),
    ] {
        let told = refused(quote!(trait Calc { #members }));
        assert!(told.contains(message), "{members}: {told}");
    }
}

#[test]
fn of_two_that_are_there_on_conditions_each_may_have_the_name() {
    let calc = taken(quote! {
        trait Calc {
            #[cfg(unix)] fn f(&self);
            #[cfg(not(unix))] fn f(&self, x: u8);
        }
    });
    assert_eq!(calc.methods.len(), 2);
}

#[test]
fn a_reader_may_begin_as_writers_do() {
    let calc = taken(quote! {
        trait Calc {
            #[property] fn set_point(&self) -> u8;
            #[property] fn set_set_point(&self, to: u8);
        }
    });
    assert_eq!(calc.properties.len(), 1);
    assert!(calc.properties[0].set.is_some());
}
