//! The command `run script.rhai @B`: a script of the caller's, run at B.

use peerage::service::command::{Call, Commands, Status, param};

use crate::ScriptError;
use crate::scripts::{Script, Scripts};

/// Registers it.
pub(crate) fn register(scripts: &Scripts, commands: &Commands) {
    let scripts = scripts.clone();
    let params = (
        param::text("SCRIPT", "its file, or its address for a page"),
        param::text("ARGS", "what it finds as `args`")
            .optional()
            .rest(),
    );
    let help = "runs a script of yours, here or at the @NAME that follows";
    commands.register_for_caller("run", help, params, move |call, (name, args)| {
        let scripts = scripts.clone();
        async move { run(&scripts, call, name, args).await }
    });
}

async fn run(scripts: &Scripts, call: Call, name: String, args: Vec<String>) -> Status {
    if call.caller.is_some() {
        return call.end(
            Status::FORBIDDEN,
            "a script is sent by the node that has it",
        );
    }
    let source = match scripts.load(name).await {
        Ok(source) => source,
        Err(reason) => return call.end(Status::FAILED, reason),
    };
    let (script, out) = (Script { source, args }, call.out.clone());
    let write = move |text: &str| out.write(text);
    let result = match &call.target {
        Some(node) => scripts.run_at(node, script, write).await,
        None => scripts.run(script, write).await,
    };
    match result {
        Ok(result) => call.end(Status::OK, result),
        Err(error @ (ScriptError::Syntax(_) | ScriptError::Unbound(_))) => {
            call.end(Status::USAGE, error.to_string())
        }
        Err(error) => call.end(Status::FAILED, error.to_string()),
    }
}
