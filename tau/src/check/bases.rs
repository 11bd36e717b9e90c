//! What a class is, which depends on its bases: an interface, or a record.

use crate::DEPTH_MAX;
use crate::check::scope::{Declared, ScopeId, Scopes};
use crate::error::{Problem, TauError, unexpected};
use crate::model::Nature;
use crate::syntax::{Body, Class, Keyword, Path};

impl<'f> Scopes<'f> {
    /// The class, its base, the base's base and so on, each with its namespace.
    pub(super) fn line(
        &self,
        id: ScopeId,
        class: &'f Class,
    ) -> Result<Vec<(ScopeId, &'f Class)>, TauError> {
        let mut line = vec![(id, class)];
        let mut here = (id, class);
        while let Some(path) = &here.1.base {
            let base = self.base(here.0, path)?;
            let circle = line
                .iter()
                .position(|(_, seen)| std::ptr::eq(*seen, base.1));
            line.push(base);
            if let Some(start) = circle {
                let names = line.iter().skip(start);
                let names: Vec<&str> = names.map(|(_, class)| class.name.text.as_str()).collect();
                let path_text = names.join(" : ");
                return Err(Problem::Circle {
                    path: path_text,
                    why: "",
                }
                .at(path.at()));
            }
            if line.len() > DEPTH_MAX {
                let what = "bases, each of the one before";
                return Err(Problem::TooDeep { what }.at(path.at()));
            }
            here = base;
        }
        Ok(line)
    }

    fn base(&self, id: ScopeId, path: &Path) -> Result<(ScopeId, &'f Class), TauError> {
        match self.find(id, path)? {
            (id, Declared::Class(class)) => Ok((id, class)),
            (_, Declared::Enum(_)) => {
                let got = format!("the enum `{}`", path.text());
                Err(unexpected(
                    path.at(),
                    "an interface or a class as the base",
                    got,
                ))
            }
        }
    }

    pub(super) fn nature(&self, id: ScopeId, declared: Declared<'f>) -> Result<Nature, TauError> {
        match declared {
            Declared::Enum(_) => Ok(Nature::Enum),
            Declared::Class(class) if self.is_interface(id, class)? => Ok(Nature::Interface),
            Declared::Class(_) => Ok(Nature::Record),
        }
    }

    /// Whether it, or one of its bases, says `interface` or has more than fields.
    pub(super) fn is_interface(&self, id: ScopeId, class: &'f Class) -> Result<bool, TauError> {
        let mut line = self.line(id, class)?.into_iter();
        Ok(line.any(|(_, class)| {
            let field = |body: &Body| matches!(body, Body::Field { .. });
            class.keyword == Keyword::Interface
                || class.members.iter().any(|member| !field(&member.body))
        }))
    }

    pub(super) fn has_events(&self, id: ScopeId, class: &'f Class) -> Result<bool, TauError> {
        let line = self.line(id, class)?;
        let mut members = line.iter().flat_map(|(_, class)| &class.members);
        Ok(members.any(|member| matches!(member.body, Body::Event { .. })))
    }
}
