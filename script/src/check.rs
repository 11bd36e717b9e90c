//! What a script is made of, and whether it binds every name that it uses: KAI's rule for what travels.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerage::rpc::Rpc;
use rhai::{
    AST, ASTNode, Array, Dynamic, Engine, EvalAltResult, Expr, FnPtr, ParseErrorType, Scope, Stmt,
};

use crate::engine::{SOURCE_BYTES_MAX, sandbox, wrong};
use crate::host::{self, Answer};
use crate::tape::{Tape, Wish};
use crate::{Limits, ScriptError};

/// What is bound for every script.
const ARGS: &str = "args";

/// A script that can be run, with the record of what it asked.
pub(crate) struct Program {
    engine: Engine,
    ast: AST,
    functions: Vec<Function>,
}

/// A function of a script. Its place among all, by where it stands in the source, is its number: the same
/// at every node, as the names of closures are not.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    name: String,
    params: Vec<String>,
}

/// Where a run begins.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// At the beginning, with these arguments.
    Start(Vec<String>),
    /// With one of its functions, on one item.
    Function(usize, Dynamic),
}

impl Program {
    /// Reads a script.
    ///
    /// # Errors
    /// What is wrong in it and where, or which names it does not bind.
    pub(crate) fn compile(
        source: &str,
        rpc: &Rpc,
        limits: &Limits,
        tape: &Arc<Tape>,
    ) -> Result<Self, ScriptError> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("expected at most {SOURCE_BYTES_MAX} bytes of source");
            return Err(ScriptError::Limit(message));
        }
        // What methods it calls is known once it has been read.
        let reading = sandbox(limits, tape, &[]);
        let ast = read(&reading, source)?;
        let (calls, methods) = names(&ast);
        let functions = functions(&ast);
        let own = |name: &&String| functions.iter().all(|function| function.name != **name);
        let unknown: Vec<_> = calls
            .iter()
            .filter(own)
            .filter(|name| !host::is_known(name))
            .collect();
        if !unknown.is_empty() {
            let unknown = unknown.into_iter().map(|name| format!("{name}()"));
            return Err(ScriptError::Unbound(unknown.collect()));
        }
        let mut engine = sandbox(limits, tape, &methods);
        host::register_here(&mut engine, rpc);
        register_across(&mut engine, tape, &functions);
        Ok(Self {
            engine,
            ast,
            functions,
        })
    }

    /// Runs it as far as it goes.
    pub(crate) fn run(&self, entry: &Entry) -> Result<Dynamic, ScriptError> {
        let mut scope = scope();
        let result = match entry {
            Entry::Start(args) => {
                let args: Array = args.iter().map(|arg| arg.clone().into()).collect();
                scope.set_value(ARGS, args);
                self.engine.eval_ast_with_scope(&mut scope, &self.ast)
            }
            Entry::Function(number, item) => {
                let function = self.functions.get(*number).ok_or_else(|| {
                    ScriptError::Thrown(String::from("there is no such function"))
                })?;
                let options = rhai::CallFnOptions::new().eval_ast(false);
                let args = (item.clone(),);
                self.engine.call_fn_with_options(
                    options,
                    &mut scope,
                    &self.ast,
                    &function.name,
                    args,
                )
            }
        };
        result.map_err(|error| failed(&error))
    }
}

fn failed(error: &EvalAltResult) -> ScriptError {
    use EvalAltResult::{
        ErrorDataTooLarge, ErrorStackOverflow, ErrorTooManyOperations, ErrorTooManyVariables,
    };
    let message = error.to_string();
    match error.unwrap_inner() {
        ErrorDataTooLarge(..) | ErrorStackOverflow(_) => ScriptError::Limit(message),
        ErrorTooManyOperations(_) | ErrorTooManyVariables(_) => ScriptError::Limit(message),
        _ => ScriptError::Thrown(message),
    }
}

fn scope() -> Scope<'static> {
    let mut scope = Scope::new();
    scope.push(ARGS, Array::new());
    scope
}

/// Reads a script; every name that it does not bind is told, not only the first.
fn read(engine: &Engine, source: &str) -> Result<AST, ScriptError> {
    let mut scope = scope();
    let mut unbound = Vec::new();
    loop {
        match engine.compile_with_scope(&scope, source) {
            Ok(ast) if unbound.is_empty() => return Ok(ast),
            Ok(_) => return Err(ScriptError::Unbound(unbound)),
            Err(error) => match error.err_type() {
                ParseErrorType::VariableUndefined(name) if !unbound.contains(name) => {
                    unbound.push(name.clone());
                    scope.push(name.clone(), ());
                }
                _ if unbound.is_empty() => return Err(ScriptError::Syntax(error.to_string())),
                _ => return Err(ScriptError::Unbound(unbound)),
            },
        }
    }
}

/// The functions that a script calls by name, and the methods.
fn names(ast: &AST) -> (BTreeSet<String>, Vec<String>) {
    let (mut calls, mut methods) = (BTreeSet::new(), BTreeSet::new());
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::MethodCall(call, _))) => {
                methods.insert(call.name.to_string());
            }
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                if call.op_token.is_none() =>
            {
                calls.insert(call.name.to_string());
            }
            _ => {}
        }
        true
    });
    (calls, methods.into_iter().collect())
}

fn functions(ast: &AST) -> Vec<Function> {
    let mut functions: Vec<_> = ast
        .iter_fn_def()
        .map(|definition| {
            let params = definition.params.iter().map(ToString::to_string).collect();
            let at = definition.body.start_position();
            let name = definition.name.to_string();
            ((at.line(), at.position()), Function { name, params })
        })
        .collect();
    functions.sort_by_key(|(at, _)| *at);
    functions
        .into_iter()
        .map(|(_, function)| function)
        .collect()
}

fn register_across(engine: &mut Engine, tape: &Arc<Tape>, functions: &[Function]) {
    let (tape, functions) = (Arc::clone(tape), functions.to_vec());
    let across = move |peers: Array, data: Array, function: FnPtr| -> Answer {
        let number = travelling(&functions, &function).map_err(wrong)?;
        let peers = peers
            .into_iter()
            .map(host::name_of)
            .collect::<Result<_, _>>()?;
        tape.wait_for(|| Wish::Across {
            peers,
            data,
            function: number,
        })
    };
    engine.register_fn("across", across);
}

/// The number of a function that is to travel, if it may.
fn travelling(functions: &[Function], function: &FnPtr) -> Result<usize, String> {
    let name = function.fn_name();
    let found = functions.iter().enumerate().find(|(_, f)| f.name == name);
    let (number, found) = found.ok_or_else(|| format!("`{name}` is no function of this script"))?;
    // What a closure takes from around it comes first among its parameters.
    let captured = function.curry().len();
    if captured > 0 {
        let names = found.params.iter().take(captured).cloned().collect();
        return Err(ScriptError::Unbound(names).to_string());
    }
    match found.params.len() {
        1 => Ok(number),
        got => Err(format!(
            "expected a function of one parameter, got one of {got}"
        )),
    }
}
