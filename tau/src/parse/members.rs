//! What stands in the braces of an interface, a class or a struct.

use crate::error::TauError;
use crate::lexer::Kind;
use crate::parse::Parser;
use crate::syntax::{Body, Member, Name, Parameter};

impl Parser<'_> {
    /// All members up to the brace, but for those that are not public.
    pub(super) fn members(&mut self, owner: &Name) -> Result<Vec<Member>, TauError> {
        let mut members = Vec::new();
        let mut public = true;
        while !self.took("}") {
            let token = self.peek();
            if token.kind == Kind::End {
                let owner = &owner.text;
                return Err(self.unexpected(&format!("a member, or the `}}` of `{owner}`")));
            }
            if matches!(token.text, "public" | "protected" | "private") {
                public = token.text == "public";
                self.advance();
                self.expect(":")?;
            } else if !self.took(";") {
                members.extend(Some(self.member()?).filter(|_| public));
            }
        }
        Ok(members)
    }

    fn member(&mut self) -> Result<Member, TauError> {
        self.no_attribute()?;
        let docs = self.peek().docs.clone();
        let (name, body) = if self.took("event") {
            let name = self.name("the event's name")?;
            let parameters = self.parameters()?;
            (name, Body::Event { parameters })
        } else {
            self.method_or_field()?
        };
        // Semicolons are optional in Tau. One that is missing in the midst of a line shows itself in
        // what follows.
        let _ = self.took(";");
        Ok(Member { docs, name, body })
    }

    fn method_or_field(&mut self) -> Result<(Name, Body), TauError> {
        let _ = self.took("static");
        let is_long = self.took("async");
        let called = is_long || self.took("sync");
        let constant = !called && self.took("const");
        let mut kind = self.type_("a member: a type, `event` or `}`")?;
        let name = self.name("a member's name after its type")?;
        self.no_generics()?;
        if self.is_next("(") && !constant {
            let parameters = self.parameters()?;
            let _ = self.took("const");
            self.no_throws()?;
            let returns = kind;
            return Ok((
                name,
                Body::Method {
                    is_long,
                    returns,
                    parameters,
                },
            ));
        }
        if called {
            return Err(self.unexpected("`(`, as only methods are `async` or `sync`"));
        }
        self.lists(&mut kind)?;
        let default = self.default()?;
        let body = Body::Field {
            kind,
            constant,
            default,
        };
        Ok((name, body))
    }

    fn parameters(&mut self) -> Result<Vec<Parameter>, TauError> {
        self.expect("(")?;
        let mut parameters = Vec::new();
        if self.took(")") {
            return Ok(parameters);
        }
        loop {
            let mut kind = self.type_("a parameter's type")?;
            let name = self.name("a parameter's name after its type")?;
            self.lists(&mut kind)?;
            let default = self.default()?;
            parameters.push(Parameter {
                kind,
                name,
                default,
            });
            if self.took(")") {
                return Ok(parameters);
            }
            if !self.took(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }
}
