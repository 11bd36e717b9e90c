//! What travels in a call: a value, and the references in it, which live for as long as it does.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::proxy::Proxy;
use super::reference::Reference;
use crate::error::{Code, Failure};
use crate::limits::{REFERENCES_MAX, VALUE_ITEMS_MAX};
use crate::object::{self, Item, Node, ObjectError, Pointer, Value};

/// A value with the references in it.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    value: Value,
    references: Vec<Reference>,
}

impl Parcel {
    /// A value, and what its references refer to.
    pub fn new(value: Value, references: Vec<Reference>) -> Self {
        Self { value, references }
    }

    /// The value of anything that serde can serialise, [`Reference`]s included.
    ///
    /// # Errors
    /// What the type itself has to complain of.
    pub fn of<T: Serialize + ?Sized>(from: &T) -> Result<Self, ObjectError> {
        let (value, references) = aboard(Vec::new(), || object::to_value(from));
        Ok(Self::new(value?, references))
    }

    /// Reads it as a type.
    ///
    /// # Errors
    /// What the type expects, and what there is.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ObjectError> {
        self.read_item(self.value.root())
    }

    /// Reads an argument of a call as a type; one that is not there is nothing.
    ///
    /// # Errors
    /// What the type expects, and what there is.
    pub fn argument<T: DeserializeOwned>(&self, place: usize) -> Result<T, ObjectError> {
        self.read_item(self.items().get(place).unwrap_or(&Item::Undefined))
    }

    /// As [`Parcel::argument`], naming it in the error.
    ///
    /// # Errors
    /// Which argument it is, what its type expects, and what there is.
    pub fn argument_called<T: DeserializeOwned>(
        &self,
        place: usize,
        name: &str,
    ) -> Result<T, ObjectError> {
        let told = |error| ObjectError::Type(format!("argument `{name}`: {error}"));
        self.argument(place).map_err(told)
    }

    /// Whether there are no more arguments than this.
    ///
    /// # Errors
    /// How many there are.
    pub fn check_arguments(&self, most: usize) -> Result<(), ObjectError> {
        let got = self.items().len();
        if got > most {
            let message = format!("expected {most} arguments, got {got}");
            return Err(ObjectError::Type(message));
        }
        Ok(())
    }

    /// The items of a list; nothing for anything else.
    pub fn items(&self) -> &[Item] {
        match self.value.root() {
            Item::Node(slot) => match self.value.node(*slot) {
                Some(Node::List(items)) => items,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// A list of these.
    pub fn list(parcels: impl IntoIterator<Item = Self>) -> Self {
        let mut references = Vec::new();
        let values = parcels.into_iter().map(|parcel| {
            references.extend(parcel.references);
            parcel.value
        });
        let value = Value::list(values);
        Self { value, references }
    }

    /// The first items of a list, each by itself, and `undefined` for each that there is not.
    pub fn into_parts<const N: usize>(self) -> [Self; N] {
        let references = self.references;
        self.value.into_parts().map(|value| {
            let own = pointers(&value).unwrap_or_default().into_iter();
            let own = own.filter_map(|p| references.iter().find(|r| r.pointer() == p));
            let references = own.cloned().collect();
            Self { value, references }
        })
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What a pointer in the value refers to.
    pub fn reference(&self, pointer: &Pointer) -> Option<&Reference> {
        let mut references = self.references.iter();
        references.find(|reference| reference.pointer() == pointer)
    }

    /// The reference that it is, if it is nothing else.
    pub fn as_reference(&self) -> Option<&Reference> {
        match self.value.root() {
            Item::Pointer(pointer) => self.reference(pointer),
            _ => None,
        }
    }

    fn read_item<T: DeserializeOwned>(&self, item: &Item) -> Result<T, ObjectError> {
        if self.references.is_empty() {
            return object::from_item(&self.value, item);
        }
        let references = self.references.clone();
        aboard(references, || object::from_item(&self.value, item)).0
    }
}

impl From<Reference> for Parcel {
    fn from(reference: Reference) -> Self {
        let pointer = Item::Pointer(reference.pointer().clone().into());
        Self::new(Value::of(pointer), vec![reference])
    }
}

/// The pointers of a value, each once.
///
/// # Errors
/// `too-large` if there are more than [`REFERENCES_MAX`], or more items than a value may have.
pub(super) fn pointers(value: &Value) -> Result<Vec<&Pointer>, Failure> {
    let items = value.nodes().iter().flat_map(Node::items);
    let mut seen: HashSet<&Pointer> = HashSet::new();
    let mut found = Vec::new();
    for item in items.chain([value.root()]) {
        if let Item::Pointer(pointer) = item
            && seen.insert(pointer)
        {
            found.push(&**pointer);
        }
    }
    let items: usize = value.nodes().iter().map(|node| 1 + node.len()).sum();
    if items >= VALUE_ITEMS_MAX {
        let message = format!("expected at most {VALUE_ITEMS_MAX} items in a value, got {items}");
        return Err(Code::TooLarge.because(message));
    }
    if found.len() > REFERENCES_MAX {
        let (most, got) = (REFERENCES_MAX, found.len());
        let message = format!("expected at most {most} references in a value, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(found)
}

thread_local! {
    /// References on their way through serde, which has no room for them: of the innermost value last.
    static ABOARD: RefCell<Vec<Vec<Reference>>> = const { RefCell::new(Vec::new()) };
}

/// Runs serde with these references at hand, and gives back those that are there in the end.
fn aboard<T>(references: Vec<Reference>, run: impl FnOnce() -> T) -> (T, Vec<Reference>) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let left = ABOARD.with_borrow_mut(Vec::pop);
            drop(left);
        }
    }
    ABOARD.with_borrow_mut(|aboard| aboard.push(references));
    let leave = Leave;
    let result = run();
    let references = ABOARD.with_borrow_mut(|aboard| aboard.last_mut().map(std::mem::take));
    drop(leave);
    (result, references.unwrap_or_default())
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ABOARD.with_borrow_mut(|aboard| {
            if let Some(references) = aboard.last_mut()
                && !references.contains(self)
            {
                references.push(self.clone());
            }
        });
        self.pointer().serialize(serializer)
    }
}

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let by_name = || Error::custom("expected a proxy of a reference: `to_reference` gives one");
        self.reference().ok_or_else(by_name)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pointer = Pointer::deserialize(deserializer)?;
        let found = ABOARD.with_borrow(|aboard| {
            let mut references = aboard.last()?.iter();
            references.find(|r| *r.pointer() == pointer).cloned()
        });
        found.ok_or_else(|| Error::custom("expected a reference that came with a call"))
    }
}
