//! Entering all that a file declares into its namespaces, each name once.

use crate::check::claims::Sort;
use crate::check::scope::{Declared, Entry, ROOT, Scope, ScopeId, Scopes, type_name};
use crate::check::types;
use crate::error::{Problem, TauError, unexpected};
use crate::names::{no_keyword, snake};
use crate::syntax::{Alias, Item, Name, Space};

/// Types that generated code needs under these names.
const RESERVED_TYPES: [&str; 11] = [
    "Date",
    "Map",
    "Option",
    "Promise",
    "Record",
    "Result",
    "Self",
    "Set",
    "String",
    "Uint8Array",
    "Vec",
];
/// Crates that generated code needs under these names.
const RESERVED_SPACES: [&str; 3] = ["peerage", "serde", "std"];

impl<'f> Scopes<'f> {
    pub(super) fn of(items: &'f [Item]) -> Result<Self, TauError> {
        let mut scopes = Self(vec![Scope::default()]);
        scopes.enter(ROOT, items)?;
        scopes.follow_aliases()?;
        scopes.claim_what_is_generated()?;
        Ok(scopes)
    }

    fn enter(&mut self, id: ScopeId, items: &'f [Item]) -> Result<(), TauError> {
        for item in items {
            match item {
                Item::Space(space) => self.enter_space(id, space)?,
                Item::Alias(alias) => {
                    self.claim_space(id, &alias.name)?;
                    self.0[id].entries.push(Entry::Alias(alias));
                }
                Item::Class(class) => self.enter_type(id, Declared::Class(class))?,
                Item::Enum(enumeration) => self.enter_type(id, Declared::Enum(enumeration))?,
            }
        }
        Ok(())
    }

    /// A namespace that is opened again goes on where it was.
    fn enter_space(&mut self, id: ScopeId, space: &'f Space) -> Result<(), TauError> {
        let name = space.name.text.as_str();
        let inner = match self.0[id].spaces.get(name) {
            Some(inner) => *inner,
            None => {
                self.claim_space(id, &space.name)?;
                let inner = self.0.len();
                self.0.push(Scope {
                    parent: Some(id),
                    name,
                    ..Scope::default()
                });
                self.0[id].spaces.insert(name, inner);
                self.0[id].entries.push(Entry::Space(inner));
                inner
            }
        };
        self.0[inner].docs.extend(space.docs.iter().cloned());
        self.enter(inner, &space.items)
    }

    fn claim_space(&mut self, id: ScopeId, name: &Name) -> Result<(), TauError> {
        let module = snake(&name.text);
        if RESERVED_SPACES.contains(&module.as_str()) {
            return Err(Problem::Reserved(module).at(name.at));
        }
        self.claim(id, Sort::Value, no_keyword(name.text.clone()), name)?;
        self.claim(id, Sort::Module, module, name)
    }

    fn enter_type(&mut self, id: ScopeId, declared: Declared<'f>) -> Result<(), TauError> {
        let written = declared.name();
        let name = type_name(declared);
        if RESERVED_TYPES.contains(&name.as_str()) || types::is_built_in(&written.text) {
            return Err(Problem::Reserved(name).at(written.at));
        }
        self.claim(id, Sort::Tau, written.text.clone(), written)?;
        if let Declared::Enum(_) = declared {
            self.claim(id, Sort::Value, name.clone(), written)?;
        }
        self.claim(id, Sort::Type, name, written)?;
        self.0[id].types.insert(&written.text, declared);
        self.0[id].entries.push(Entry::Declared(declared));
        Ok(())
    }

    fn claim(&mut self, id: ScopeId, sort: Sort, name: String, by: &Name) -> Result<(), TauError> {
        self.0[id].claims.take(sort, name, by)
    }

    /// Aliases stand for namespaces, not for each other, so they lead in no circle.
    fn follow_aliases(&mut self) -> Result<(), TauError> {
        let mut followed = Vec::new();
        for (id, scope) in self.0.iter().enumerate() {
            for entry in &scope.entries {
                if let Entry::Alias(alias) = entry {
                    followed.push((id, *alias, self.target(id, alias)?));
                }
            }
        }
        for (id, alias, target) in &followed {
            self.0[*id].spaces.insert(&alias.name.text, *target);
        }
        // Nor may one of them hide what another stands for.
        for (id, alias, target) in followed {
            if self.target(id, alias)? != target {
                let got = format!("`{}`, an alias", alias.target.text());
                return Err(unexpected(alias.target.at(), "a namespace", got));
            }
        }
        Ok(())
    }

    pub(super) fn target(&self, id: ScopeId, alias: &Alias) -> Result<ScopeId, TauError> {
        let path = &alias.target;
        let mut names = path.scope.clone();
        names.push(path.name.clone());
        self.find_space(id, &names)
    }

    /// Each interface takes names for what is made beside it.
    fn claim_what_is_generated(&mut self) -> Result<(), TauError> {
        let mut claims: Vec<(ScopeId, Sort, String, &'f Name)> = Vec::new();
        for (id, scope) in self.0.iter().enumerate() {
            for entry in &scope.entries {
                let Entry::Declared(declared @ Declared::Class(class)) = *entry else {
                    continue;
                };
                if !self.is_interface(id, class)? {
                    continue;
                }
                let name = type_name(declared);
                for what in ["Proxy", "Agent", "Events"] {
                    claims.push((id, Sort::Type, format!("{name}{what}"), &class.name));
                }
                if class.version.is_some() {
                    claims.push((id, Sort::Value, format!("{name}Version"), &class.name));
                }
            }
        }
        for (id, sort, name, by) in claims {
            self.claim(id, sort, name, by)?;
        }
        Ok(())
    }
}
