//! Methods, events and fields, from as written to as meant.

use crate::check::claims::{Claims, Sort};
use crate::check::scope::{ScopeId, Scopes};
use crate::check::types::Place;
use crate::error::{TauError, unexpected};
use crate::model::{Body, Field, Member};
use crate::names::camel;
use crate::syntax::{self, Class, Parameter};

/// Takes the member's name on the wire. A field that can be written takes that of its setter too.
pub(super) fn claim(claims: &mut Claims, member: &syntax::Member) -> Result<(), TauError> {
    let name = &member.name;
    claims.take(Sort::Member, camel(&name.text), name)?;
    match member.body {
        syntax::Body::Field {
            constant: false, ..
        } => claims.take(Sort::Member, camel(&format!("set_{}", name.text)), name),
        _ => Ok(()),
    }
}

impl<'f> Scopes<'f> {
    /// Makes something of each member: of those of the bases, the farthest first, and of its own.
    pub(super) fn gather<T>(
        &self,
        id: ScopeId,
        class: &'f Class,
        mut make: impl FnMut(ScopeId, &'f syntax::Member) -> Result<T, TauError>,
    ) -> Result<(Vec<T>, Vec<T>), TauError> {
        let mut all = Vec::new();
        let mut inherited = 0;
        for (id, class) in self.line(id, class)?.into_iter().rev() {
            inherited = all.len();
            for member in &class.members {
                all.push(make(id, member)?);
            }
        }
        let own = all.split_off(inherited);
        Ok((all, own))
    }

    /// A member of an interface.
    pub(super) fn member(&self, id: ScopeId, written: &syntax::Member) -> Result<Member, TauError> {
        let body = match &written.body {
            syntax::Body::Method {
                is_long,
                returns,
                parameters,
            } => {
                optional_last(parameters)?;
                Body::Method {
                    is_long: *is_long,
                    returns: self.meaning(id, returns, Place::Return)?,
                    parameters: self.parameters(id, parameters, Place::Parameter)?,
                }
            }
            syntax::Body::Event { parameters } => Body::Event {
                parameters: self.parameters(id, parameters, Place::Value)?,
            },
            syntax::Body::Field {
                kind,
                constant,
                default,
            } => Body::Property {
                kind: self.meaning(id, kind, Place::Value)?,
                constant: *constant,
                initial: default.clone(),
            },
        };
        Ok(Member {
            docs: written.docs.clone(),
            name: written.name.text.clone(),
            body,
        })
    }

    /// A member of a record.
    pub(super) fn field(&self, id: ScopeId, written: &syntax::Member) -> Result<Field, TauError> {
        let name = &written.name;
        let syntax::Body::Field {
            kind,
            constant,
            default,
        } = &written.body
        else {
            return Err(unexpected(name.at, "a field", format!("`{}`", name.text)));
        };
        Ok(Field {
            docs: written.docs.clone(),
            name: name.text.clone(),
            kind: self.meaning(id, kind, Place::Value)?,
            constant: *constant,
            default: default.clone(),
        })
    }

    fn parameters(
        &self,
        id: ScopeId,
        written: &[Parameter],
        place: Place,
    ) -> Result<Vec<Field>, TauError> {
        let mut claims = Claims::default();
        let parameters = written.iter().map(|parameter| {
            let name = &parameter.name;
            claims.take(Sort::Parameter, camel(&name.text), name)?;
            Ok(Field {
                docs: Vec::new(),
                name: name.text.clone(),
                kind: self.meaning(id, &parameter.kind, place)?,
                constant: false,
                default: parameter.default.clone(),
            })
        });
        parameters.collect()
    }
}

/// Arguments are told by their order.
fn optional_last(parameters: &[Parameter]) -> Result<(), TauError> {
    let mut optional = None;
    for parameter in parameters {
        let name = &parameter.name;
        match (optional, &parameter.default) {
            (Some(before), None) => {
                let expected = format!("a default here too, as `{before}` before it has one");
                return Err(unexpected(
                    name.at,
                    expected,
                    format!("only `{}`", name.text),
                ));
            }
            (None, Some(_)) => optional = Some(&name.text),
            _ => {}
        }
    }
    Ok(())
}
