//! The console: who is here and by which path, a prompt, and what the node logs.

#[cfg(target_arch = "wasm32")]
mod app;

fn main() {
    #[cfg(target_arch = "wasm32")]
    app::mount();
}
