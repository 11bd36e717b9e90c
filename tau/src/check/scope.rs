//! The namespaces of a file, and what a name means in each: the innermost that has it counts, as in
//! C++ and in TypeScript.

use std::collections::BTreeMap;

use crate::check::claims::{Claims, Sort, taken};
use crate::check::types;
use crate::error::{Position, Problem, TauError};
use crate::names::{pascal, without_i};
use crate::syntax::{Alias, Class, Enum, Keyword, Name, Path};

/// All namespaces; the first is the file.
pub(super) struct Scopes<'f>(pub(super) Vec<Scope<'f>>);

/// Which of them.
pub(super) type ScopeId = usize;

pub(super) const ROOT: ScopeId = 0;

#[derive(Default)]
pub(super) struct Scope<'f> {
    pub(super) parent: Option<ScopeId>,
    pub(super) docs: Vec<String>,
    pub(super) name: &'f str,
    /// In the order of the file.
    pub(super) entries: Vec<Entry<'f>>,
    pub(super) types: BTreeMap<&'f str, Declared<'f>>,
    /// With what aliases stand for.
    pub(super) spaces: BTreeMap<&'f str, ScopeId>,
    pub(super) claims: Claims,
}

#[derive(Clone, Copy)]
pub(super) enum Entry<'f> {
    Space(ScopeId),
    Alias(&'f Alias),
    Declared(Declared<'f>),
}

#[derive(Clone, Copy)]
pub(super) enum Declared<'f> {
    Class(&'f Class),
    Enum(&'f Enum),
}

impl<'f> Declared<'f> {
    pub(super) fn name(self) -> &'f Name {
        match self {
            Self::Class(class) => &class.name,
            Self::Enum(enumeration) => &enumeration.name,
        }
    }
}

/// What `interface IFoo`, class or enum is called in generated code.
pub(super) fn type_name(declared: Declared<'_>) -> String {
    let written = &declared.name().text;
    match declared {
        Declared::Class(class) if class.keyword == Keyword::Interface => pascal(without_i(written)),
        _ => pascal(written),
    }
}

impl<'f> Scopes<'f> {
    pub(super) fn get(&self, id: ScopeId) -> &Scope<'f> {
        &self.0[id]
    }

    /// The names from the root down.
    pub(super) fn path(&self, id: ScopeId) -> Vec<String> {
        let inner = self.outward(id).filter(|id| *id != ROOT);
        let mut path: Vec<String> = inner.map(|id| self.0[id].name.to_owned()).collect();
        path.reverse();
        path
    }

    /// What is declared under this name, and in which namespace, for whoever stands in `from`.
    pub(super) fn find(
        &self,
        from: ScopeId,
        path: &Path,
    ) -> Result<(ScopeId, Declared<'f>), TauError> {
        let name = path.name.text.as_str();
        let qualified = !path.scope.is_empty();
        let start = match qualified {
            true => self.find_space(from, &path.scope)?,
            false => from,
        };
        let within = |id: ScopeId| Some((id, *self.0[id].types.get(name)?));
        let found = match qualified {
            true => within(start),
            false => self.outward(start).find_map(within),
        };
        let (id, declared) = found.ok_or_else(|| self.unknown_type(path))?;
        self.not_shadowed(start, id, declared, path.name.at)?;
        Ok((id, declared))
    }

    /// `IFoo` further out is `Foo` in TypeScript, and then must not be hidden by a `Foo` nearer.
    fn not_shadowed(
        &self,
        from: ScopeId,
        id: ScopeId,
        declared: Declared<'_>,
        at: Position,
    ) -> Result<(), TauError> {
        let name = type_name(declared);
        let mut nearer = self.outward(from).take_while(|scope| *scope != id);
        match nearer.find_map(|scope| self.0[scope].claims.holder(Sort::Type, &name)) {
            None => Ok(()),
            Some(holder) => Err(taken(&name, &declared.name().text, holder, "").at(at)),
        }
    }

    /// The namespace of this name for whoever stands in `from`.
    pub(super) fn find_space(&self, from: ScopeId, path: &[Name]) -> Result<ScopeId, TauError> {
        let mut names = path.iter();
        let mut here = from;
        if let Some(first) = names.next() {
            let mut outward = self.outward(from);
            here = outward
                .find_map(|id| self.child(id, first))
                .ok_or_else(|| unknown_space(first))?;
        }
        for name in names {
            here = self.child(here, name).ok_or_else(|| unknown_space(name))?;
        }
        Ok(here)
    }

    fn child(&self, id: ScopeId, name: &Name) -> Option<ScopeId> {
        self.0[id].spaces.get(name.text.as_str()).copied()
    }

    /// The namespace and all around it, up to the root.
    fn outward(&self, from: ScopeId) -> impl Iterator<Item = ScopeId> {
        std::iter::successors(Some(from), |id| self.0[*id].parent)
    }

    fn unknown_type(&self, path: &Path) -> TauError {
        let name = path.text();
        let wanted = &path.name.text;
        let mut everywhere = (0..self.0.len()).flat_map(|id| {
            let names = self.0[id].types.keys();
            names.map(move |name| (id, *name))
        });
        let meant = everywhere.find(|(_, name)| {
            name.eq_ignore_ascii_case(wanted) || without_i(name) == without_i(wanted)
        });
        let meant = meant.map(|(id, name)| full_name(&self.path(id), name));
        let hint = meant.or_else(|| types::similar(wanted).map(str::to_owned));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
        Problem::UnknownType { name, hint }.at(path.at())
    }
}

fn unknown_space(name: &Name) -> TauError {
    Problem::UnknownNamespace(name.text.clone()).at(name.at)
}

/// A type's name with those of its namespaces.
pub(super) fn full_name(space: &[String], name: &str) -> String {
    let names: Vec<&str> = space.iter().map(String::as_str).chain([name]).collect();
    names.join("::")
}
