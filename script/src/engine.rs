//! The sandbox: what the language has, and how much of it a script may take.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::any::TypeId;
use std::sync::Arc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{
    Array, Blob, Dynamic, Engine, EvalAltResult, ImmutableString, Map, NativeCallContext, Position,
};

use crate::host::{self, Object};
use crate::tape::Tape;

/// How much a script may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of all its beginnings together.
    pub steps: u64,
    /// Items of a list or a map, those within it included; all variables hold four times as many.
    pub items: usize,
    /// Bytes of a text.
    pub text_bytes: usize,
    /// Things that it asks of the network.
    pub requests: usize,
    /// Bytes that it writes.
    pub output_bytes: usize,
    /// How long it may run, waits included.
    pub time: Duration,
}

impl Limits {
    /// For a native node.
    pub const NATIVE: Self = Self {
        steps: 10_000_000,
        items: 10_000,
        text_bytes: 1024 * 1024,
        requests: 10_000,
        output_bytes: 1024 * 1024,
        time: Duration::from_secs(600),
    };
    /// For a tab, which has one thread, and does nothing else meanwhile.
    pub const TAB: Self = Self {
        steps: 2_000_000,
        ..Self::NATIVE
    };
}

/// How deep lists and maps may be nested.
const DATA_DEPTH_MAX: usize = 128;
/// How many times as much all variables may hold together as one of them.
const TOGETHER: usize = 4;
/// After how many uses of variables it is looked at what they hold.
const USES_BETWEEN: u32 = 32;
/// Variables that a script may have at once.
const VARIABLES_MAX: usize = 256;
/// Functions that a script may define.
const FUNCTIONS_MAX: usize = 256;
/// How deep functions may call each other.
const CALLS_DEPTH_MAX: usize = 32;
/// How deep expressions may be nested.
const EXPRESSIONS_DEPTH_MAX: usize = 64;
/// Bytes of a script.
pub(crate) const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Arguments of a method of a remote object.
const ARGUMENTS_MAX: usize = 8;

/// A sandbox whose requests go to `tape`, in which remote objects have these methods.
pub(crate) fn sandbox(limits: &Limits, tape: &Arc<Tape>, methods: &[String]) -> Engine {
    let mut engine = Engine::new_raw();
    packages(&mut engine);
    engine.set_strict_variables(true);
    engine.set_max_operations(limits.steps);
    engine.set_max_array_size(limits.items);
    engine.set_max_map_size(limits.items);
    engine.set_max_string_size(limits.text_bytes);
    engine.set_max_variables(VARIABLES_MAX);
    engine.set_max_functions(FUNCTIONS_MAX);
    engine.set_max_call_levels(CALLS_DEPTH_MAX);
    engine.set_max_expr_depths(EXPRESSIONS_DEPTH_MAX, EXPRESSIONS_DEPTH_MAX / 2);
    let (printed, steps) = (Arc::clone(tape), Arc::clone(tape));
    engine.on_print(move |text| printed.print(text));
    engine.on_debug(|_, _, _| {});
    engine.on_progress(move |_| steps.step());
    weigh_now_and_then(&mut engine, limits, tape);
    host::register(&mut engine, tape);
    for method in methods {
        register_method(&mut engine, tape, method);
    }
    engine
}

/// Looks now and then at what the variables hold: the language itself looks at lists and texts when they
/// are assigned, and neither at what is put into a map, nor at how deep things are nested.
fn weigh_now_and_then(engine: &mut Engine, limits: &Limits, tape: &Arc<Tape>) {
    let (limits, tape) = (*limits, Arc::clone(tape));
    let uses = AtomicU32::new(0);
    #[expect(deprecated, reason = "the interface may change; there is no other")]
    engine.on_var(move |_, _, context| {
        if !uses
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(USES_BETWEEN)
        {
            return Ok(None);
        }
        let mut room = Room {
            items: limits.items * TOGETHER,
            bytes: limits.text_bytes * TOGETHER,
        };
        let mut variables = context.scope().iter_raw();
        match variables.all(|(_, _, value)| room.holds(value, 0)) {
            true => Ok(None),
            false => Err(tape.exceed("more memory than it may have")),
        }
    });
}

/// What is left of the memory that a script may have.
struct Room {
    items: usize,
    bytes: usize,
}

impl Room {
    fn holds(&mut self, value: &Dynamic, depth: usize) -> bool {
        if depth > DATA_DEPTH_MAX || self.items == 0 {
            return false;
        }
        self.items -= 1;
        if let Some(list) = value.read_lock::<Array>() {
            return list.iter().all(|item| self.holds(item, depth + 1));
        }
        if let Some(map) = value.read_lock::<Map>() {
            return map.values().all(|item| self.holds(item, depth + 1));
        }
        let text = value.read_lock::<ImmutableString>().map(|text| text.len());
        let bytes = text.or_else(|| value.read_lock::<Blob>().map(|blob| blob.len()));
        let left = self.bytes.checked_sub(bytes.unwrap_or_default());
        self.bytes = left.unwrap_or_default();
        left.is_some()
    }
}

/// All of the language but the clock.
fn packages(engine: &mut Engine) {
    LanguageCorePackage::new().register_into_engine(engine);
    ArithmeticPackage::new().register_into_engine(engine);
    BasicArrayPackage::new().register_into_engine(engine);
    BasicFnPackage::new().register_into_engine(engine);
    BasicIteratorPackage::new().register_into_engine(engine);
    BasicMapPackage::new().register_into_engine(engine);
    BasicMathPackage::new().register_into_engine(engine);
    BasicStringPackage::new().register_into_engine(engine);
    LogicPackage::new().register_into_engine(engine);
    MoreStringPackage::new().register_into_engine(engine);
}

/// A method of remote objects, whatever its arguments: Rhai has none that it does not know of.
fn register_method(engine: &mut Engine, tape: &Arc<Tape>, name: &str) {
    for count in 0..=ARGUMENTS_MAX {
        let mut types = vec![TypeId::of::<Object>()];
        types.resize(count + 1, TypeId::of::<Dynamic>());
        let (tape, method) = (Arc::clone(tape), name.to_owned());
        let call = move |_: NativeCallContext<'_>, args: &mut [&mut Dynamic]| {
            let object = args[0].read_lock::<Object>().map(|object| object.clone());
            let object = object.ok_or_else(|| wrong("expected a remote object"))?;
            let args: Vec<_> = args[1..].iter().map(|arg| (**arg).clone()).collect();
            object.call(&tape, &method, &args)
        };
        engine.register_raw_fn(name, types, call);
    }
}

/// An error that a script may catch.
pub(crate) fn wrong(message: impl Into<String>) -> Box<EvalAltResult> {
    let message = Dynamic::from(message.into());
    Box::new(EvalAltResult::ErrorRuntime(message, Position::NONE))
}
