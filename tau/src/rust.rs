//! A file as Rust: traits for `#[peerage::agent]`, and the types that they speak of.

use crate::model::{
    Alias, Body, Enum, Field, File, Interface, Item, Member, Named, Nature, Record, Space, Type,
};
use crate::names::{pascal, snake};
use crate::page::Page;

const FIRST_LINE: &str =
    "// Made from Tau by `peerage idl --rust`: change that file, and make this one again.";
const RECORD: &str = "#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]";
/// What has no fields can be more than a record: a key, for example.
const ENUM: [&str; 10] = [
    "Clone",
    "Copy",
    "Debug",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "serde::Serialize",
    "serde::Deserialize",
];
const OPTIONAL: &str = "#[serde(default, skip_serializing_if = \"Option::is_none\")]";

/// Writes the file as Rust, formatted as rustfmt does.
///
/// Each interface is a trait with `#[peerage::agent]`, which makes its proxy: `FooProxy` is what stands
/// for an interface `Foo` where that is used as a type. Namespaces are modules. The paths among them are
/// relative, so the text can be a module anywhere.
pub fn rust(file: &File) -> String {
    let mut writer = Writer {
        page: Page::new(FIRST_LINE),
        here: Vec::new(),
    };
    writer.items(&file.root);
    writer.page.finish()
}

struct Writer<'f> {
    page: Page,
    /// The namespaces around what is being written.
    here: Vec<&'f str>,
}

impl<'f> Writer<'f> {
    fn items(&mut self, space: &'f Space) {
        for item in &space.items {
            match item {
                Item::Space(space) => self.space(space),
                Item::Alias(alias) => self.alias(alias),
                Item::Interface(interface) => self.interface(interface),
                Item::Record(record) => self.record(record),
                Item::Enum(enumeration) => self.enumeration(enumeration),
            }
        }
    }

    fn space(&mut self, space: &'f Space) {
        self.docs(&space.docs);
        self.here.push(&space.name);
        self.block(&format!("pub mod {}", snake(&space.name)), |writer| {
            writer.items(space)
        });
        self.here.pop();
    }

    fn alias(&mut self, alias: &Alias) {
        let mut names: Vec<&str> = alias.target.space.iter().map(String::as_str).collect();
        names.push(&alias.target.name);
        let target = self.way(&names);
        // A module must be said to be here, as a crate might have its name.
        let here = if target.starts_with("super::") {
            ""
        } else {
            "self::"
        };
        let name = snake(&alias.name);
        self.page
            .line(&format!("pub use {here}{target} as {name};"));
        self.page.gap();
    }

    fn interface(&mut self, interface: &'f Interface) {
        self.docs(&interface.docs);
        self.page.line(&match interface.version {
            Some(version) => format!("#[peerage::agent(version = {version})]"),
            None => "#[peerage::agent]".to_owned(),
        });
        self.block(&format!("pub trait {}", interface.name), |writer| {
            for member in interface.inherited.iter().chain(&interface.members) {
                writer.member(member);
            }
        });
    }

    fn member(&mut self, member: &Member) {
        self.docs(&member.docs);
        let name = snake(&member.name);
        match &member.body {
            Body::Method {
                returns,
                parameters,
                ..
            } => {
                self.optional_docs(parameters);
                let mut written = self.parameters(parameters);
                written.insert(0, "&self".to_owned());
                let value = match returns {
                    Type::Void => "()".to_owned(),
                    kind => self.type_(kind),
                };
                // What fails elsewhere, or is thrown there, is known only to who calls.
                let tail = format!(" -> Result<{value}, peerage::rpc::CallError>;");
                self.page
                    .signature(&format!("async fn {name}"), &written, &tail);
            }
            Body::Event { parameters } => {
                self.optional_docs(parameters);
                self.page.line("#[event]");
                let written = self.parameters(parameters);
                self.page.signature(&format!("fn {name}"), &written, ";");
            }
            Body::Property {
                kind,
                constant,
                initial,
            } => {
                if let Some(initial) = initial {
                    self.docs(&[format!("It is `{initial}` at first.")]);
                }
                self.property(&member.name, &self.type_(kind), *constant);
            }
        }
    }

    fn property(&mut self, name: &str, kind: &str, constant: bool) {
        let (getter, setter) = (snake(name), snake(&format!("set_{name}")));
        self.page.line("#[property]");
        self.page
            .line(&format!("async fn {getter}(&self) -> {kind};"));
        if !constant {
            self.page.line("#[property]");
            self.page
                .line(&format!("async fn {setter}(&self, {getter}: {kind});"));
        }
    }

    fn parameters(&self, parameters: &[Field]) -> Vec<String> {
        let parameters = parameters.iter().map(|parameter| self.slot(parameter));
        parameters.collect()
    }

    /// A parameter, or the last line of a field.
    fn slot(&self, field: &Field) -> String {
        let (name, kind) = (snake(&field.name), self.type_(&field.kind));
        match field.default {
            Some(_) => format!("{name}: Option<{kind}>"),
            None => format!("{name}: {kind}"),
        }
    }

    fn optional_docs(&mut self, parameters: &[Field]) {
        for parameter in parameters {
            if let Some(default) = &parameter.default {
                let name = snake(&parameter.name);
                self.docs(&[format!("`{name}` may be left out; it is `{default}` then.")]);
            }
        }
    }

    fn record(&mut self, record: &'f Record) {
        self.docs(&record.docs);
        self.page.line(RECORD);
        self.page.line("#[serde(rename_all = \"camelCase\")]");
        self.block(&format!("pub struct {}", record.name), |writer| {
            for field in record.inherited.iter().chain(&record.fields) {
                writer.docs(&field.docs);
                if let Some(default) = &field.default {
                    writer.docs(&[format!("May be left out; it is `{default}` then.")]);
                    writer.page.line(OPTIONAL);
                }
                let slot = writer.slot(field);
                writer.page.line(&format!("pub {slot},"));
            }
        });
    }

    fn enumeration(&mut self, enumeration: &Enum) {
        self.docs(&enumeration.docs);
        let derives: Vec<String> = ENUM.iter().map(|&derive| derive.to_owned()).collect();
        self.page.signature("#[derive", &derives, "]");
        self.block(&format!("pub enum {}", enumeration.name), |writer| {
            for value in &enumeration.values {
                writer.docs(&value.docs);
                let mut name = pascal(&value.name);
                if name == "Self" {
                    name.push('_');
                }
                if name != value.name {
                    let line = format!("#[serde(rename = \"{}\")]", value.name);
                    writer.page.line(&line);
                }
                writer.page.line(&match value.given {
                    Some(number) => format!("{name} = {number},"),
                    None => format!("{name},"),
                });
            }
        });
    }

    fn type_(&self, kind: &Type) -> String {
        match kind {
            Type::Void => "()".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Int => "i32".to_owned(),
            Type::Int64 => "i64".to_owned(),
            Type::Float => "f32".to_owned(),
            Type::Double => "f64".to_owned(),
            Type::Text => "String".to_owned(),
            Type::Bytes => "peerage::object::Blob".to_owned(),
            Type::Date => "peerage::object::Date".to_owned(),
            Type::Object => "peerage::object::Dynamic".to_owned(),
            Type::Callback => "peerage::rpc::Reference".to_owned(),
            Type::List(inner) => format!("Vec<{}>", self.type_(inner)),
            Type::Set(inner) => format!("peerage::object::Set<{}>", self.type_(inner)),
            Type::Map(inner) => {
                let (key, value) = (self.type_(&inner.0), self.type_(&inner.1));
                format!("std::collections::BTreeMap<{key}, {value}>")
            }
            Type::Later(inner) => format!("peerage::rpc::Later<{}>", self.type_(inner)),
            Type::Declared(named, Nature::Interface) => self.named(named) + "Proxy",
            Type::Declared(named, _) => self.named(named),
        }
    }

    fn named(&self, named: &Named) -> String {
        let space: Vec<&str> = named.space.iter().map(String::as_str).collect();
        match self.way(&space) {
            way if way.is_empty() => named.name.clone(),
            way => format!("{way}::{}", named.name),
        }
    }

    /// From here to a module: out as far as need be, then in.
    fn way(&self, target: &[&str]) -> String {
        let pairs = self.here.iter().zip(target);
        let common = pairs.take_while(|(here, there)| here == there).count();
        let out = std::iter::repeat_n("super".to_owned(), self.here.len() - common);
        let inward = target.iter().skip(common).map(|name| snake(name));
        let names: Vec<String> = out.chain(inward).collect();
        names.join("::")
    }

    fn docs(&mut self, lines: &[String]) {
        for line in lines {
            self.page.line(format!("/// {line}").trim_end());
        }
    }

    fn block(&mut self, head: &str, inside: impl FnOnce(&mut Self)) {
        self.page.open(head);
        inside(self);
        self.page.close();
    }
}
