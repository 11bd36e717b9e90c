//! A form for a method: a field for each parameter of which the type is known, or else all arguments as JSON.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use core::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::NodeId;
use peerage::rpc::{Act, Param, Parcel, Signature};
use serde_json::Value;
use web_sys::SubmitEvent;

use super::page::in_words;
use crate::shown::Services;
use crate::tree::{Tree, of_value, show};

/// After how long a call is given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What has become of the last call.
#[derive(Clone)]
enum Outcome {
    Running,
    Returned(Tree),
    Failed(String),
}

#[component]
pub(crate) fn MethodForm(
    services: Services,
    id: NodeId,
    agent: String,
    method: String,
    signature: Option<Signature>,
) -> impl IntoView {
    let outcome = RwSignal::new(None::<Outcome>);
    let fields = fields(signature.as_ref());
    let (called, all) = (method.clone(), fields.clone());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let args = match arguments(&all) {
            Ok(args) => args,
            Err(why) => return outcome.set(Some(Outcome::Failed(why))),
        };
        outcome.set(Some(Outcome::Running));
        let proxy = services.rpc.proxy_at(id, &agent).with_timeout(CALL_TIMEOUT);
        let asked = proxy.ask(Act::Call, &called, args);
        spawn_local(async move {
            let told = match asked.await {
                Ok(parcel) => Outcome::Returned(of_value(parcel.value())),
                Err(error) => Outcome::Failed(in_words(error)),
            };
            // The page may be shown no longer.
            let _ = outcome.try_set(Some(told));
        });
    };
    let returns = signature.map(|signature| signature.returns);
    let returns = returns.filter(|returns| !matches!(returns.as_str(), "" | "()" | "void"));
    let inputs = fields
        .into_iter()
        .map(|field| view! { <Input field method=method.clone() /> });
    let inputs = inputs.collect_view();
    view! {
        <form class="method" on:submit=submit data-testid=format!("method-{method}")>
            <code>{method.clone()}</code>
            {inputs}
            <button type="submit">"Call"</button>
            <small class="soft">{returns.map(|returns| format!("→ {returns}"))}</small>
            <div class="tree" role="status">
                {move || outcome.get().map(|outcome| match outcome {
                    Outcome::Running => view! { <span class="soft">"…"</span> }.into_any(),
                    Outcome::Returned(tree) => show("", &tree),
                    Outcome::Failed(why) => view! { <span class="bad">{why}</span> }.into_any(),
                })}
            </div>
        </form>
    }
}

/// How a parameter is typed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Flag,
    Text,
    Json,
    /// All arguments, a list of JSON without its brackets.
    Arguments,
}

#[derive(Clone)]
struct Field {
    name: String,
    ty: String,
    kind: Kind,
    typed: RwSignal<String>,
}

fn fields(signature: Option<&Signature>) -> Vec<Field> {
    let field = |name: &str, ty: &str, kind| Field {
        name: name.to_owned(),
        ty: ty.to_owned(),
        kind,
        typed: RwSignal::new(String::new()),
    };
    match signature {
        None => vec![field(
            "arguments",
            "JSON, such as 1, \"two\"",
            Kind::Arguments,
        )],
        Some(signature) => {
            let params = signature.params.iter();
            let params = params.map(|Param { name, ty }| field(name, ty, kind_of(ty)));
            params.collect()
        }
    }
}

/// How something of this type, of Rust or TypeScript, is typed in.
fn kind_of(ty: &str) -> Kind {
    match ty.trim() {
        "f32" | "f64" | "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64"
        | "isize" | "number" => Kind::Number,
        "bool" | "boolean" => Kind::Flag,
        "String" | "&str" | "str" | "string" | "Arc<str>" | "char" => Kind::Text,
        _ => Kind::Json,
    }
}

fn arguments(fields: &[Field]) -> Result<Parcel, String> {
    let mut args = Vec::new();
    for field in fields {
        let typed = field.typed.get_untracked();
        let told = |error: serde_json::Error| format!("{}: {error}", field.name);
        match field.kind {
            Kind::Arguments => {
                let list = serde_json::from_str::<Vec<Value>>(&format!("[{typed}]"));
                args.extend(list.map_err(told)?);
            }
            kind => args.push(read(kind, &typed).map_err(told)?),
        }
    }
    Parcel::of(&args).map_err(|error| error.to_string())
}

/// What was typed in; nothing for nothing, unless it is a text.
fn read(kind: Kind, typed: &str) -> Result<Value, serde_json::Error> {
    match kind {
        Kind::Text => Ok(Value::String(typed.to_owned())),
        Kind::Flag => Ok(Value::Bool(typed == "true")),
        Kind::Number | Kind::Json | Kind::Arguments if typed.trim().is_empty() => Ok(Value::Null),
        Kind::Number | Kind::Json | Kind::Arguments => serde_json::from_str(typed),
    }
}

#[component]
fn Input(field: Field, method: String) -> impl IntoView {
    let Field {
        name,
        ty,
        kind,
        typed,
    } = field;
    let testid = format!("{method}-{name}");
    let input = match kind {
        Kind::Flag => {
            let checked = move |event| typed.set(event_target_checked(&event).to_string());
            view! { <input type="checkbox" data-testid=testid on:change=checked /> }.into_any()
        }
        kind => {
            let mode = if kind == Kind::Number {
                "decimal"
            } else {
                "text"
            };
            view! {
                <input type="text" inputmode=mode autocomplete="off" spellcheck="false" placeholder=ty data-testid=testid
                    on:input=move |event| typed.set(event_target_value(&event)) />
            }
            .into_any()
        }
    };
    view! { <label>{name} {input}</label> }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_typed_is_read_by_the_parameters_type() {
        let read_as = |ty: &str, typed: &str| read(kind_of(ty), typed).map_err(drop);
        assert_eq!(read_as("f64", " 2.5"), Ok(Value::from(2.5)));
        assert_eq!(read_as("u32", "7"), Ok(Value::from(7)));
        assert_eq!(read_as("f64", "much"), Err(()));
        assert_eq!(read_as("bool", "true"), Ok(Value::Bool(true)));
        assert_eq!(read_as("bool", ""), Ok(Value::Bool(false)));
        assert_eq!(read_as("String", "{\"a\""), Ok(Value::from("{\"a\"")));
        assert_eq!(read_as("Order", "{\"ml\":1}").unwrap()["ml"], 1);
        assert_eq!(read_as("Option<f64>", ""), Ok(Value::Null));
    }
}
