//! `#[peerage::agent]`: from a trait, what uses it elsewhere and what lets others use it.

mod interface;
mod names;
mod signature;
#[cfg(test)]
mod tests;
mod write;

use proc_macro::TokenStream;

/// Makes a trait one of remote objects. Beside the trait `Calculator` come to be:
///
/// - `CalculatorProxy`, which has its methods: each gives a `Call` of what it returns; a property `total`
///   has `total`, `set_total` and `watch_total`, an event `overflow` has `on_overflow`;
/// - `CalculatorAgent`, which lets others use anything that implements the trait;
/// - `CalculatorEvents`, by which that tells its events, and what its properties have become;
/// - for each event a struct of what it carries, such as `CalculatorOverflow`.
///
/// `#[property]` stands before a property's reader, and before its writer, whose name begins with `set_`;
/// `#[event]` before an event, which is declared and not implemented. Methods and properties may be `async`,
/// and may return a `Result` of which the error becomes a `CallError`. On the wire names are in camel case.
///
/// `#[peerage::agent(version = 2)]` gives the interface a version: a proxy of another is refused.
#[proc_macro_attribute]
pub fn agent(args: TokenStream, item: TokenStream) -> TokenStream {
    interface::read(args.into(), item.into())
        .map_or_else(syn::Error::into_compile_error, |interface| {
            write::all(&interface)
        })
        .into()
}
