// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

/// Sums and products.
#[peerage::agent]
pub trait Calculator {
    /// The sum of all that was added.
    #[property]
    async fn total(&self) -> f64;
    #[property]
    async fn set_total(&self, total: f64);
    /// How many places a display has.
    /// It is `12` at first.
    #[property]
    async fn digits(&self) -> i32;
    async fn add(&self, a: f64, b: f64) -> Result<f64, peerage::rpc::CallError>;
    async fn subtract(&self, a: f64, b: f64) -> Result<f64, peerage::rpc::CallError>;
    async fn multiply(&self, a: f64, b: f64) -> Result<f64, peerage::rpc::CallError>;
    async fn divide(&self, a: f64, b: f64) -> Result<f64, peerage::rpc::CallError>;
    async fn clear(&self) -> Result<(), peerage::rpc::CallError>;
    /// A result was too large to be shown.
    #[event]
    fn overflow(at: f64);
    #[event]
    fn cleared();
}
