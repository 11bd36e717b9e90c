//! Commands as JavaScript runs and offers them.

use core::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use gloo::events::EventListener;
use js_sys::{Array, Function};
use peerage::Failure;
use peerage::error::Code;
use peerage::service::command::param::{Arg, Param, ParamKind};
use peerage::service::command::{Call, News, Outcome, Run, Signature, Status, TargetResult, Told};
use peerage::service::lane::Turn;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortController, AbortSignal, console};

use crate::error::to_js;
use crate::lane::hold_until_settled;
use crate::node::Node;
use crate::objects::{node_object, object, set};
use crate::options::{check, flag, number, text, value, wrong};
use crate::page::{self, text_of};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface RunOptions { onOutput?: (text: string, target?: string) => void; signal?: AbortSignal; timeoutMs?: number; lane?: string }
export interface CommandResult { status: number; output: string; results?: TargetResult[] }
export type TargetResult = { target: string; status: number; output: string } | { target: string; error: PeerageError };
export interface CommandOutput { write(text: string): void; readonly signal: AbortSignal; readonly caller?: Peer }
export type ParameterType = "text" | "number" | "integer" | "boolean" | "node" | "command" | "line";
export interface Parameter { name: string; type?: ParameterType; help?: string; optional?: boolean; rest?: boolean }
export interface CommandDescription { help?: string; args?: Parameter[] }
export type CommandHandler = (args: any[], out: CommandOutput) => number | void | Promise<number | void>;
"#;

#[wasm_bindgen]
extern "C" {
    /// How a line is run.
    #[wasm_bindgen(typescript_type = "RunOptions")]
    pub type RunOptions;
    /// The promise of a command's result.
    #[wasm_bindgen(typescript_type = "Promise<CommandResult>")]
    pub type CommandPromise;
    /// A command written in JavaScript.
    #[wasm_bindgen(typescript_type = "CommandHandler")]
    pub type CommandHandler;
    /// What a command does and takes.
    #[wasm_bindgen(typescript_type = "CommandDescription")]
    pub type CommandDescription;
}

#[wasm_bindgen]
impl Node {
    /// Tells a node's page to go to an address: it does if that is of its own origin, and it does not want otherwise.
    pub fn navigate(&self, name: &str, url: &str) -> CommandPromise {
        // It is one word in a line.
        let url: Vec<_> = url.split_whitespace().collect();
        self.run(format!("navigate {} @{name}", url.join("%20")), None)
    }

    /// Runs a command line, here or at its `@target`. `options.onOutput` gets what is written as it comes,
    /// with the target's name; `options.signal` interrupts it, wherever it runs; `options.timeoutMs` is
    /// when it is interrupted anyway. A line with several targets has `results`, one for each.
    pub fn run(&self, line: String, options: Option<RunOptions>) -> CommandPromise {
        // It begins now: its place in a lane is before what is asked for next.
        let manner = Manner::read(options.map(JsValue::from));
        let begun = manner.and_then(|manner| {
            let lane = manner.lane.as_deref();
            let run = self.commands().start_in(lane, &line, manner.timeout)?;
            Ok((manner, run))
        });
        let promise = future_to_promise(async move {
            let (manner, run) = begun.map_err(|failure| to_js(&failure))?;
            let outcome = manner.follow(run).await;
            Ok(outcome_object(outcome.map_err(|failure| to_js(&failure))?))
        });
        JsValue::from(promise).unchecked_into()
    }

    /// Offers a command to everyone, under this name. It gets its arguments, and an object with `write`, an
    /// `AbortSignal` in `signal` that tells when its caller has given up, and the peer who calls in
    /// `caller`; it returns its exit status, or nothing for 0, or a promise of that. Its arguments are
    /// words, unless `description.args` says what they are: then they are read and checked.
    pub fn command(
        &self,
        name: String,
        handler: CommandHandler,
        description: Option<CommandDescription>,
    ) -> Result<(), JsValue> {
        let handler = JsValue::from(handler);
        let handler: Function = handler
            .dyn_into()
            .map_err(|got| to_js(&wrong("handler", "a function as a command's handler", &got)))?;
        let signature =
            read_signature(name, description.map(JsValue::from)).map_err(|f| to_js(&f))?;
        let Signature { name, help, params } = signature;
        let has_rest = params.last().is_some_and(|param| param.rest);
        let handler = SendWrapper::new(handler);
        self.commands()
            .register(&name, &help, params, move |call, args| {
                let args = SendWrapper::new(values(args, has_rest));
                SendWrapper::new(call_handler(handler.clone(), call, args))
            });
        Ok(())
    }
}

/// How a line is run.
#[derive(Default)]
struct Manner {
    on_output: Option<Function>,
    signal: Option<AbortSignal>,
    timeout: Option<Duration>,
    lane: Option<String>,
}

impl Manner {
    fn read(options: Option<JsValue>) -> Result<Self, Failure> {
        let Some(options) = options else {
            return Ok(Self::default());
        };
        let known = ["onOutput", "signal", "timeoutMs", "lane"];
        check(
            &options,
            "an object { onOutput, signal, timeoutMs, lane }",
            &known,
        )?;
        let millis = number(&options, "timeoutMs", 0, i32::MAX as u32)?;
        Ok(Self {
            on_output: instance(&options, "onOutput", "a function")?,
            signal: instance(&options, "signal", "an AbortSignal")?,
            timeout: millis.map(|millis| Duration::from_millis(millis.into())),
            lane: text(&options, "lane")?,
        })
    }

    async fn follow(self, run: Run) -> Result<Outcome, Failure> {
        let on_output = self.on_output;
        let tell = move |told: &Told| {
            if let (Some(function), News::Output(text)) = (&on_output, &told.what) {
                hand(function, text, &told.target);
            }
        };
        let ended = core::pin::pin!(run.outcome_after(tell));
        let Some(signal) = self.signal else {
            return ended.await;
        };
        let given_up = core::pin::pin!(aborted(&signal));
        match select(given_up, ended).await {
            Either::Left(_) => Err(Code::Cancelled.because("the command was interrupted")),
            Either::Right((outcome, _)) => outcome,
        }
    }
}

/// A property of a class of its own, if anything is said.
pub(crate) fn instance<T: JsCast>(
    options: &JsValue,
    key: &str,
    expected: &str,
) -> Result<Option<T>, Failure> {
    let value = value(options, key);
    if value.is_undefined() {
        return Ok(None);
    }
    let instance = value.dyn_into();
    instance.map(Some).map_err(|got| wrong(key, expected, &got))
}

fn hand(function: &Function, text: &str, target: &str) {
    let target = match target {
        "" => JsValue::UNDEFINED,
        name => name.into(),
    };
    if let Err(error) = function.call2(&JsValue::NULL, &text.into(), &target) {
        // The command is not to end for the page's mistake.
        console::error_1(&error);
    }
}

/// Waits until a signal says so.
pub(crate) async fn aborted(signal: &AbortSignal) {
    if signal.aborted() {
        return;
    }
    let (tell, told) = oneshot::channel();
    let _listening = EventListener::once(signal, "abort", move |_| {
        // Nobody may be waiting any longer.
        let _ = tell.send(());
    });
    // The sender is held by the listener, which is held here.
    let _ = told.await;
}

fn outcome_object(outcome: Outcome) -> JsValue {
    let told = ended_object(outcome.status, outcome.output);
    if !outcome.results.is_empty() {
        let results: Array = outcome.results.into_iter().map(result_object).collect();
        set(&told, "results", &results);
    }
    told
}

fn result_object(result: TargetResult) -> JsValue {
    let told = match result.result {
        Ok((status, output)) => ended_object(status, output),
        Err(failure) => object(&[("error", to_js(&failure))]),
    };
    set(&told, "target", &(&*result.target).into());
    told
}

fn ended_object(status: Status, output: String) -> JsValue {
    object(&[("status", status.0.into()), ("output", output.into())])
}

fn read_signature(name: String, description: Option<JsValue>) -> Result<Signature, Failure> {
    let (help, args) = match &description {
        Some(description) => {
            check(description, "an object { help, args }", &["help", "args"])?;
            (text(description, "help")?, list(description, "args")?)
        }
        None => (None, None),
    };
    let params = match args {
        Some(args) => args.iter().map(read_param).collect::<Result<_, _>>()?,
        None => vec![Param {
            name: "WORDS".into(),
            kind: ParamKind::Text,
            help: String::new(),
            optional: true,
            rest: true,
        }],
    };
    let signature = Signature {
        name,
        help: help.unwrap_or_else(|| "a command of the page".into()),
        params,
    };
    signature.check()?;
    Ok(signature)
}

/// The items of a property that is an array, if anything is said.
fn list(options: &JsValue, key: &str) -> Result<Option<Vec<JsValue>>, Failure> {
    let value = value(options, key);
    if value.is_undefined() {
        return Ok(None);
    }
    let is_array = page::is_array(&value).unwrap_or_default();
    let items = is_array.then(|| page::items(&value).ok()).flatten();
    let items = items.ok_or_else(|| wrong(key, "an array", &value))?;
    Ok(Some(items))
}

fn read_param(param: &JsValue) -> Result<Param, Failure> {
    let known = ["name", "type", "help", "optional", "rest"];
    check(
        param,
        "an object { name, type, help, optional, rest }",
        &known,
    )?;
    let kind = text(param, "type")?.map_or(Ok(ParamKind::Text), |kind| kind.parse());
    Ok(Param {
        name: text(param, "name")?.ok_or_else(|| wrong("name", "a string", &JsValue::UNDEFINED))?,
        kind: kind.map_err(|expected| Code::BadMessage.because(format!("type: {expected}")))?,
        help: text(param, "help")?.unwrap_or_default(),
        optional: flag(param, "optional")?,
        rest: flag(param, "rest")?,
    })
}

/// The arguments in order: undefined for one that is left out, and at the end all of the rest.
fn values(args: Vec<Vec<Arg>>, has_rest: bool) -> Array {
    let (values, count) = (Array::new(), args.len());
    for (at, args) in args.into_iter().enumerate() {
        let is_rest = has_rest && at + 1 == count;
        if args.is_empty() && !is_rest {
            values.push(&JsValue::UNDEFINED);
        }
        for arg in args {
            values.push(&match arg {
                Arg::Text(text) => text.into(),
                Arg::Number(number) => number.into(),
                Arg::Integer(number) => (number as f64).into(),
                Arg::Boolean(flag) => flag.into(),
            });
        }
    }
    values
}

/// Tells a handler that its call is over before it was. What follows in its lane waits until it has ended
/// nevertheless.
struct Interrupt {
    controller: Option<AbortController>,
    turn: Option<(Turn, JsValue)>,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.abort();
        }
        if let Some((turn, promise)) = self.turn.take() {
            hold_until_settled(turn, &promise);
        }
    }
}

async fn call_handler(
    handler: SendWrapper<Function>,
    call: Call,
    args: SendWrapper<Array>,
) -> Status {
    let out = call.out.clone();
    // It lives for as long as the page holds it: one that was interrupted may still write.
    let write = Closure::<dyn Fn(String)>::new(move |text: String| out.write(&text));
    let output = object(&[("write", write.into_js_value())]);
    if let Some(caller) = call.caller {
        set(&output, "caller", &node_object(call.node(), caller));
    }
    let mut interrupt = Interrupt {
        controller: AbortController::new().ok(),
        turn: None,
    };
    if let Some(controller) = &interrupt.controller {
        set(&output, "signal", &controller.signal());
    }
    let returned = match handler.call2(&JsValue::NULL, &args, &output) {
        Ok(value) => {
            interrupt.turn = call.turn.clone().map(|turn| (turn, value.clone()));
            page::awaited(&value).await
        }
        Err(error) => Err(error),
    };
    (interrupt.controller, interrupt.turn) = (None, None);
    match returned {
        Ok(value) => Status(value.as_f64().unwrap_or_default().clamp(0.0, 255.0) as u8),
        Err(error) => call.end(Status::FAILED, text_of(&error)),
    }
}
