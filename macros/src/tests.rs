//! What is no interface, and what is said of it.

use proc_macro2::TokenStream;

use crate::interface::{Interface, read};

/// Members that a trait cannot have, and what the refusal says.
const MEMBERS: [(&str, &str); 25] = [
    ("fn f<T>(&self, t: T);", "no type parameters"),
    ("fn f<'a>(&self, t: Cow<'a, str>);", "no type parameters"),
    ("fn f(&'static self);", "expected &self"),
    ("fn f(&mut self);", "expected &self"),
    ("fn f(self);", "expected &self"),
    ("fn f();", "expected &self"),
    ("fn f(&self) where Self: Sized;", "no where clause"),
    ("const fn f(&self);", "expected a plain `fn`"),
    ("unsafe fn f(&self);", "expected a plain `fn`"),
    ("extern \"C\" fn f(&self);", "expected a plain `fn`"),
    ("fn f(&self) {}", "has no body"),
    ("type T;", "expected methods, properties"),
    ("const N: u8;", "expected methods, properties"),
    ("fn f(&self, mut x: u8);", "a parameter's name alone"),
    ("fn f(&self, (a, b): (u8, u8));", "a parameter's name alone"),
    ("fn f(&self, _: u8);", "a parameter's name alone"),
    ("fn f(&self, #[cfg(x)] a: u8);", "no attributes"),
    ("fn f(&self, a: &str);", "expected an owned type"),
    ("fn f(&self, a: impl Fn());", "expected an owned type"),
    ("fn f(&self) -> &str;", "expected an owned type"),
    ("fn f(&self) -> Result<&str, E>;", "expected an owned type"),
    ("#[event] fn e(&self);", "an event has no self"),
    ("#[event] fn e<T>(t: T);", "no type parameters"),
    ("#[event] fn e() -> u8;", "an event returns nothing"),
    ("#[event] #[property] fn e();", "got two"),
];

/// The reader of a property stands before each of these, and what the refusal says.
const NAMES: [(&str, &str); 18] = [
    ("fn new(&self);", "proxies have a `new`"),
    ("fn named(&self);", "proxies have a `named`"),
    ("fn proxy(&self);", "proxies have a `proxy`"),
    ("#[property] fn new(&self) -> u8;", "proxies have a `new`"),
    ("fn attached(&self);", "such traits have a `attached`"),
    ("#[event] fn tell_total();", "changes have a `tell_total`"),
    ("fn watch_total(&self);", "proxies have a `watch_total`"),
    ("fn total(&self);", "have a `total` already"),
    ("fn on_x(&self); #[event] fn x();", "proxies have a `on_x`"),
    ("#[event] fn proxy();", "have a `CalcProxy` already"),
    ("#[event] fn agent();", "have a `CalcAgent` already"),
    ("#[event] fn events();", "have a `CalcEvents` already"),
    ("fn a_b(&self); fn a__b(&self);", "have a `aB` already"),
    ("fn r#fn(&self); fn fn_(&self);", "have a `fn` already"),
    ("fn __(&self);", "a letter in it"),
    ("#[property] fn set_total(&self);", "has one parameter"),
    ("#[property] fn set_x(&self, n: u8);", "expected the reader"),
    (
        "#[property] fn set_total(&self, n: u8); #[property] fn set_total_(&self, n: u8);",
        "got another",
    ),
];

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap()
}

fn check_refused(text: &str, message: &str) {
    match read(TokenStream::new(), tokens(text)) {
        Ok(_) => panic!("not refused: {text}"),
        Err(error) => assert!(error.to_string().contains(message), "{text}: {error}"),
    }
}

fn calc(members: &str) -> Interface {
    let text = format!("trait Calc {{ {members} }}");
    read(TokenStream::new(), tokens(&text)).unwrap()
}

#[test]
fn what_cannot_be_called_from_elsewhere_is_refused() {
    for (member, message) in MEMBERS {
        check_refused(&format!("trait Calc {{ {member} }}"), message);
    }
    check_refused("trait Calc<T> {}", "no parameters");
    check_refused("trait Calc where Self: Sized {}", "no where clause");
    check_refused("unsafe trait Calc {}", "a plain trait");
    check_refused("#[cfg(x)] trait Calc {}", "#[cfg] before");
}

#[test]
fn a_name_that_is_taken_is_refused_where_it_is_written() {
    let total = "#[property] fn total(&self) -> u8;";
    calc(total);
    for (members, message) in NAMES {
        check_refused(&format!("trait Calc {{ {total} {members} }}"), message);
    }
}

#[test]
fn of_two_that_are_there_on_conditions_each_may_have_the_name() {
    let calc = calc("#[cfg(unix)] fn f(&self); #[cfg(not(unix))] fn f(&self, x: u8);");
    assert_eq!(calc.methods.len(), 2);
}

#[test]
fn a_reader_may_begin_as_writers_do() {
    let calc =
        calc("#[property] fn set_point(&self) -> u8; #[property] fn set_set_point(&self, to: u8);");
    assert_eq!(calc.properties.len(), 1);
    assert!(calc.properties[0].set.is_some());
}
