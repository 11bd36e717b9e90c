//! Scripts of a page, run here or at another node.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use js_sys::{Function, Promise};
use peerage::Failure;
use peerage::error::Code;
use peerage::log::ERROR;
use peerage::rpc::Rpc;
use peerage::service::command::Commands;
use peerage_script::{Limits, Platform, Script, ScriptError, Scripts};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::Response;

use crate::error::{call_to_js, to_js};
use crate::node::Node;
use crate::options::{ScriptOptions, script};
use crate::page::{name_of, text_of};
use crate::platform::window;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface ScriptOptions { at?: string; args?: string[]; onOutput?: (text: string) => void }
"#;

#[wasm_bindgen]
impl Node {
    /// Runs a script (Rhai), here or at the node `options.at`: its result, as text. `options.onOutput` gets
    /// what it writes, as it comes; `options.args` is what it finds as `args`.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn script(
        &self,
        source: String,
        #[wasm_bindgen(unchecked_optional_param_type = "ScriptOptions")] options: JsValue,
    ) -> Promise {
        let scripts = self.scripts();
        future_to_promise(async move {
            let options = script(&options).map_err(|failure| to_js(&failure))?;
            let result = run(&scripts, source, options).await;
            result.map(JsValue::from).map_err(|error| match error {
                ScriptError::Call(error) => call_to_js(&error),
                error => to_js(&failure_of(&error)),
            })
        })
    }
}

/// The scripts of a tab's node.
///
/// # Errors
/// If there are scripts already.
pub(crate) fn scripts(rpc: Rpc, commands: Commands) -> Result<Scripts, Failure> {
    let platform = Platform {
        limits: Limits::TAB,
        compute: Arc::new(compute),
        load: Arc::new(|address| Box::pin(SendWrapper::new(load(address)))),
    };
    Scripts::new(rpc, commands, platform)
}

async fn run(
    scripts: &Scripts,
    source: String,
    options: ScriptOptions,
) -> Result<String, ScriptError> {
    let args = options.args;
    let script = Script { source, args };
    let out = SendWrapper::new(options.on_output);
    let write = move |text: &str| tell(out.as_ref(), text);
    match options.at {
        Some(node) => scripts.run_at(&node, script, write).await,
        None => scripts.run(script, write).await,
    }
}

fn tell(out: Option<&Function>, text: &str) {
    if let Some(out) = out
        && let Err(error) = out.call1(&JsValue::NULL, &text.into())
    {
        let error = name_of(&error);
        tracing::warn!(target: ERROR, error, "a script's listener failed");
    }
}

/// A tab has one thread; what a script may take of it is limited.
fn compute(work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
    work();
    Box::pin(core::future::ready(()))
}

/// Gets a script's source from where the page may get it.
async fn load(address: String) -> Result<String, String> {
    let window = window().map_err(|failure| failure.message)?;
    let told = |error: JsValue| format!("{address}: {}", text_of(&error));
    let response = JsFuture::from(window.fetch_with_str(&address)).await;
    let response: Response = response.map_err(told)?.dyn_into().map_err(told)?;
    if !response.ok() {
        return Err(format!("{address}: HTTP status {}", response.status()));
    }
    let text = JsFuture::from(response.text().map_err(told)?)
        .await
        .map_err(told)?;
    Ok(text.as_string().unwrap_or_default())
}

fn failure_of(error: &ScriptError) -> Failure {
    let code = match error {
        ScriptError::Syntax(_) | ScriptError::Unbound(_) => Code::BadMessage,
        ScriptError::Limit(_) => Code::TooLarge,
        ScriptError::Thrown(_) | ScriptError::Call(_) => Code::Refused,
    };
    code.because(error.to_string())
}
