//! Parameters of commands: what each takes, in words for people and as types for programs.
//!
//! ```
//! use peerage::service::command::{Call, Commands, Status, param};
//!
//! fn offer(commands: &Commands) {
//!     let sides = param::integer("SIDES", "of the dice; 6 unless said").optional();
//!     commands.register("roll", "throws dice", sides, async |call: Call, sides| {
//!         call.end(Status::OK, format!("one of {}", sides.unwrap_or(6)))
//!     });
//! }
//! ```

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use minicbor::{Decode, Encode};

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ParamKind {
    /// A word.
    #[n(0)]
    Text,
    /// A number, with a fraction or without.
    #[n(1)]
    Number,
    /// A whole number.
    #[n(2)]
    Integer,
    /// `true` or `false`.
    #[n(3)]
    Boolean,
    /// A node's name or id, with its `@` or without.
    #[n(4)]
    Node,
    /// The name of a command.
    #[n(5)]
    Command,
    /// The rest of the line, as it was typed. Nothing can follow.
    #[n(6)]
    Line,
}

/// One parameter of a command.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Param {
    /// Its name in the usage line.
    #[n(0)]
    pub name: String,
    /// What it takes.
    #[n(1)]
    pub kind: ParamKind,
    /// What it means, for people.
    #[n(2)]
    pub help: String,
    /// Whether it may be left out.
    #[n(3)]
    pub optional: bool,
    /// Whether it takes all words that are left.
    #[n(4)]
    pub rest: bool,
}

/// A word that was read as its parameter's kind. Nodes, commands and lines are text.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

impl ParamKind {
    const ALL: [(Self, &str, &str); 7] = [
        (Self::Text, "text", "a word"),
        (Self::Number, "number", "a number"),
        (Self::Integer, "integer", "a whole number"),
        (Self::Boolean, "boolean", "true or false"),
        (Self::Node, "node", "a node's name or id"),
        (Self::Command, "command", "a command's name"),
        (Self::Line, "line", "the rest of the line"),
    ];

    /// What it takes, in words.
    pub fn in_words(self) -> &'static str {
        let known = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        known.map_or("", |(_, _, words)| words)
    }

    /// Reads a word; `None` if it is none of this kind.
    pub(super) fn read(self, word: &str) -> Option<Arg> {
        match self {
            Self::Text | Self::Command | Self::Line => Some(Arg::Text(word.to_owned())),
            Self::Number => {
                let number = word.parse().ok();
                number.filter(|n: &f64| n.is_finite()).map(Arg::Number)
            }
            Self::Integer => word.parse().ok().map(Arg::Integer),
            Self::Boolean => word.parse().ok().map(Arg::Boolean),
            Self::Node => {
                let name = word.strip_prefix('@').unwrap_or(word);
                (!name.is_empty()).then(|| Arg::Text(name.to_owned()))
            }
        }
    }
}

impl FromStr for ParamKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(_, name, _)| *name == text);
        known.map(|(kind, ..)| *kind).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name, _)| name).join(", ");
            format!("expected one of {names}, got `{text}`")
        })
    }
}

/// As in a usage line.
impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match (self.optional, self.rest) {
            (false, false) => write!(f, "{name}"),
            (false, true) => write!(f, "{name}…"),
            (true, false) => write!(f, "[{name}]"),
            (true, true) => write!(f, "[{name}…]"),
        }
    }
}

/// A parameter whose argument becomes a `T`.
#[derive(Clone, Debug)]
pub struct Typed<T>(Param, PhantomData<fn() -> T>);

/// A word.
pub fn text(name: &str, help: &str) -> Typed<String> {
    Typed::new(ParamKind::Text, name, help)
}

/// A number.
pub fn number(name: &str, help: &str) -> Typed<f64> {
    Typed::new(ParamKind::Number, name, help)
}

/// A whole number.
pub fn integer(name: &str, help: &str) -> Typed<i64> {
    Typed::new(ParamKind::Integer, name, help)
}

/// `true` or `false`.
pub fn boolean(name: &str, help: &str) -> Typed<bool> {
    Typed::new(ParamKind::Boolean, name, help)
}

/// A node's name or id.
pub fn node(name: &str, help: &str) -> Typed<String> {
    Typed::new(ParamKind::Node, name, help)
}

/// A command's name.
pub fn command(name: &str, help: &str) -> Typed<String> {
    Typed::new(ParamKind::Command, name, help)
}

/// The rest of the line, as it was typed: the last parameter.
pub fn line(name: &str, help: &str) -> Typed<String> {
    Typed::new(ParamKind::Line, name, help)
}

impl<T> Typed<T> {
    fn new(kind: ParamKind, name: &str, help: &str) -> Self {
        let param = Param {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
            optional: false,
            rest: false,
        };
        Self(param, PhantomData)
    }
}

impl<T: Single> Typed<T> {
    /// May be left out.
    #[must_use]
    pub fn optional(mut self) -> Typed<Option<T>> {
        self.0.optional = true;
        Typed(self.0, PhantomData)
    }

    /// Takes all words that are left, one or more.
    #[must_use]
    pub fn rest(mut self) -> Typed<Vec<T>> {
        self.0.rest = true;
        Typed(self.0, PhantomData)
    }
}

impl<T: Single> Typed<Option<T>> {
    /// Takes all words that are left, if any.
    #[must_use]
    pub fn rest(mut self) -> Typed<Vec<T>> {
        self.0.rest = true;
        Typed(self.0, PhantomData)
    }
}

/// What a single argument becomes.
pub trait Single: Sized + Send + 'static {
    /// `None` for an argument of another kind.
    fn take(arg: Arg) -> Option<Self>;
}

macro_rules! single {
    ($type:ty, $kind:ident) => {
        impl Single for $type {
            fn take(arg: Arg) -> Option<Self> {
                match arg {
                    Arg::$kind(value) => Some(value),
                    _ => None,
                }
            }
        }

        impl Taken for $type {
            fn take(args: Vec<Arg>) -> Option<Self> {
                <Self as Single>::take(args.into_iter().next()?)
            }
        }
    };
}

single!(String, Text);
single!(f64, Number);
single!(i64, Integer);
single!(bool, Boolean);

/// What all arguments of one parameter become.
pub trait Taken: Sized + Send + 'static {
    /// `None` for what does not fit.
    fn take(args: Vec<Arg>) -> Option<Self>;
}

impl<T: Single> Taken for Option<T> {
    fn take(args: Vec<Arg>) -> Option<Self> {
        match args.into_iter().next() {
            Some(arg) => T::take(arg).map(Some),
            None => Some(None),
        }
    }
}

impl<T: Single> Taken for Vec<T> {
    fn take(args: Vec<Arg>) -> Option<Self> {
        args.into_iter().map(T::take).collect()
    }
}

/// A command's parameters: `()`, one, a tuple of several, or a list that is known only when the program
/// runs.
pub trait Params {
    /// What its handler gets.
    type Args: Send + 'static;

    /// The parameters in order.
    fn list(self) -> Vec<Param>;

    /// The arguments, from a list for each parameter; `None` for what does not fit.
    fn take(args: Vec<Vec<Arg>>) -> Option<Self::Args>;
}

impl Params for () {
    type Args = ();

    fn list(self) -> Vec<Param> {
        Vec::new()
    }

    fn take(_: Vec<Vec<Arg>>) -> Option<()> {
        Some(())
    }
}

impl<T: Taken> Params for Typed<T> {
    type Args = T;

    fn list(self) -> Vec<Param> {
        vec![self.0]
    }

    fn take(args: Vec<Vec<Arg>>) -> Option<T> {
        T::take(args.into_iter().next()?)
    }
}

impl Params for Vec<Param> {
    type Args = Vec<Vec<Arg>>;

    fn list(self) -> Vec<Param> {
        self
    }

    fn take(args: Vec<Vec<Arg>>) -> Option<Self::Args> {
        Some(args)
    }
}

macro_rules! several {
    ($($type:ident),+) => {
        impl<$($type: Taken),+> Params for ($(Typed<$type>,)+) {
            type Args = ($($type,)+);

            #[expect(non_snake_case, reason = "a value has the name of its type")]
            fn list(self) -> Vec<Param> {
                let ($($type,)+) = self;
                vec![$($type.0),+]
            }

            fn take(args: Vec<Vec<Arg>>) -> Option<Self::Args> {
                let mut args = args.into_iter();
                Some(($($type::take(args.next()?)?,)+))
            }
        }
    };
}

several!(A, B);
several!(A, B, C);
several!(A, B, C, D);
