//! A file as TypeScript: interfaces, for agents and proxies alike.

use crate::model::{
    Base, Body, Enum, Field, File, Interface, Item, Member, Named, Record, Space, Type,
};
use crate::names::{camel, no_keyword};
use crate::page::Page;

const FIRST_LINE: &str =
    "// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.";

/// Writes the file as TypeScript.
///
/// An interface `Foo` gets `FooEvents` beside it, with the payload of each event, and the constant
/// `FooVersion`, if it has such. Methods may answer at once or later: an agent may do either, a
/// proxy's answers are promises.
pub fn typescript(file: &File) -> String {
    let mut page = Page::new(FIRST_LINE);
    items(&mut page, &file.root);
    page.finish()
}

fn items(page: &mut Page, space: &Space) {
    for item in &space.items {
        match item {
            Item::Space(space) => {
                docs(page, &space.docs);
                let name = no_keyword(space.name.clone());
                page.block(&format!("export namespace {name}"), |page| {
                    items(page, space)
                });
            }
            Item::Interface(written) => interface(page, written),
            Item::Record(written) => record(page, written),
            Item::Enum(written) => enumeration(page, written),
            Item::Alias(_) => {}
        }
    }
    // An alias is worth something only after what it stands for.
    for item in &space.items {
        if let Item::Alias(alias) = item {
            let name = no_keyword(alias.name.clone());
            let target = qualified(&alias.target, &no_keyword(alias.target.name.clone()));
            page.line(&format!("export import {name} = {target};"));
            page.gap();
        }
    }
}

fn interface(page: &mut Page, interface: &Interface) {
    let name = &interface.name;
    if let Some(version) = interface.version {
        page.line(&format!("export const {name}Version = {version};"));
        page.gap();
    }
    docs(page, &interface.docs);
    let base = interface.base.as_ref();
    let head = extending(
        name,
        base.map(|base| qualified(&base.name, &base.name.name)),
    );
    page.block(&head, |page| {
        for each in &interface.members {
            member(page, each);
        }
    });
    if interface.has_events() {
        events(page, interface, base);
    }
}

fn member(page: &mut Page, member: &Member) {
    let name = camel(&member.name);
    match &member.body {
        Body::Method {
            returns,
            parameters,
            ..
        } => {
            docs(page, &with_defaults(&member.docs, parameters));
            let parameters: Vec<String> = parameters.iter().map(parameter).collect();
            page.signature(&name, &parameters, &format!(": {};", answer(returns)));
        }
        Body::Property {
            kind,
            constant,
            initial,
        } => {
            let mut lines = member.docs.clone();
            lines.extend(
                initial
                    .as_ref()
                    .map(|initial| format!("It is `{initial}` at first.")),
            );
            docs(page, &lines);
            let readonly = if *constant { "readonly " } else { "" };
            page.line(&format!("{readonly}{name}: {};", type_(kind)));
        }
        Body::Event { .. } => {}
    }
}

/// The payload of each event, by its name.
fn events(page: &mut Page, interface: &Interface, base: Option<&Base>) {
    let base = base.filter(|base| base.has_events);
    let base = base.map(|base| qualified(&base.name, &format!("{}Events", base.name.name)));
    let head = extending(&format!("{}Events", interface.name), base);
    page.block(&head, |page| {
        for member in &interface.members {
            if let Body::Event { parameters } = &member.body {
                docs(page, &with_defaults(&member.docs, parameters));
                let fields: Vec<String> = parameters.iter().map(slot).collect();
                let payload = match fields.is_empty() {
                    true => "Record<string, never>".to_owned(),
                    false => format!("{{ {} }}", fields.join("; ")),
                };
                page.line(&format!("{}: {payload};", camel(&member.name)));
            }
        }
    });
}

fn record(page: &mut Page, record: &Record) {
    docs(page, &record.docs);
    let base = record.base.as_ref().map(|base| qualified(base, &base.name));
    page.block(&extending(&record.name, base), |page| {
        for field in &record.fields {
            let mut lines = field.docs.clone();
            let default = field.default.as_ref();
            lines.extend(default.map(|value| format!("May be left out; it is `{value}` then.")));
            docs(page, &lines);
            let readonly = if field.constant { "readonly " } else { "" };
            page.line(&format!("{readonly}{};", slot(field)));
        }
    });
}

/// Values travel by their names. If the file gives numbers, a constant has them.
fn enumeration(page: &mut Page, enumeration: &Enum) {
    let name = &enumeration.name;
    docs(page, &enumeration.docs);
    let values = enumeration.values.iter();
    let union: Vec<String> = values.map(|value| format!("\"{}\"", value.name)).collect();
    page.line(&format!("export type {name} = {};", union.join(" | ")));
    page.gap();
    if enumeration.values.iter().all(|value| value.given.is_none()) {
        return;
    }
    page.open(&format!("export const {name} ="));
    for value in &enumeration.values {
        docs(page, &value.docs);
        page.line(&format!("{}: {},", value.name, value.number));
    }
    page.close_with("} as const;");
}

/// `interface name`, and what it extends.
fn extending(name: &str, base: Option<String>) -> String {
    match base {
        Some(base) => format!("export interface {name} extends {base}"),
        None => format!("export interface {name}"),
    }
}

fn parameter(field: &Field) -> String {
    named_slot(&no_keyword(camel(&field.name)), field)
}

fn slot(field: &Field) -> String {
    named_slot(&camel(&field.name), field)
}

fn named_slot(name: &str, field: &Field) -> String {
    let optional = if field.default.is_some() { "?" } else { "" };
    format!("{name}{optional}: {}", type_(&field.kind))
}

/// What a method returns.
fn answer(kind: &Type) -> String {
    let kind_alone = match kind {
        Type::Callback => format!("({})", type_(kind)),
        _ => type_(kind),
    };
    format!("{kind_alone} | Promise<{}>", type_(kind))
}

fn type_(kind: &Type) -> String {
    match kind {
        Type::Void => "void".to_owned(),
        Type::Bool => "boolean".to_owned(),
        Type::Int | Type::Float | Type::Double => "number".to_owned(),
        Type::Int64 => "number | bigint".to_owned(),
        Type::Text => "string".to_owned(),
        Type::Bytes => "Uint8Array".to_owned(),
        Type::Date => "Date".to_owned(),
        Type::Object => "unknown".to_owned(),
        Type::Callback => "(...args: any[]) => unknown".to_owned(),
        Type::List(inner) => match **inner {
            Type::Int64 | Type::Callback => format!("({})[]", type_(inner)),
            _ => format!("{}[]", type_(inner)),
        },
        Type::Set(inner) => format!("Set<{}>", type_(inner)),
        Type::Map(inner) => format!("Map<{}, {}>", type_(&inner.0), type_(&inner.1)),
        Type::Later(inner) => format!("Promise<{}>", type_(inner)),
        Type::Declared(named, _) => qualified(named, &named.name),
    }
}

/// The name behind its namespaces, as the file has them: both languages look for names in the same
/// way.
fn qualified(named: &Named, name: &str) -> String {
    let spaces = named.written.iter().map(|space| no_keyword(space.clone()));
    let names: Vec<String> = spaces.chain([name.to_owned()]).collect();
    names.join(".")
}

fn with_defaults(lines: &[String], parameters: &[Field]) -> Vec<String> {
    let mut lines = lines.to_vec();
    for parameter in parameters {
        if let Some(default) = &parameter.default {
            let name = camel(&parameter.name);
            lines.push(format!("`{name}` may be left out; it is `{default}` then."));
        }
    }
    lines
}

fn docs(page: &mut Page, lines: &[String]) {
    let lines: Vec<String> = lines.iter().map(|line| line.replace("*/", "* /")).collect();
    match lines.as_slice() {
        [] => {}
        [line] => page.line(&format!("/** {line} */")),
        lines => {
            page.line("/**");
            for line in lines {
                page.line(format!(" * {line}").trim_end());
            }
            page.line(" */");
        }
    }
}
