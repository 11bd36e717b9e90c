// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod math {
    pub mod distributed {
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            serde::Serialize,
            serde::Deserialize,
        )]
        pub enum Operation {
            Add,
            Subtract,
            Multiply,
            Divide,
        }

        /// One step of a computation.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Step {
            pub operation: Operation,
            /// May be left out; it is `0.0` then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub operand: Option<f64>,
        }

        /// A calculator among others.
        ///
        /// Sums may arrive later than they are asked for.
        #[peerage::agent(version = 2)]
        pub trait Calculator {
            #[property]
            async fn peer_count(&self) -> i32;
            #[property]
            async fn set_peer_count(&self, peer_count: i32);
            async fn sum(&self, values: Vec<f64>) -> Result<f64, peerage::rpc::CallError>;
            async fn add_later(
                &self,
                a: peerage::rpc::Later<f64>,
                b: peerage::rpc::Later<f64>,
            ) -> Result<f64, peerage::rpc::CallError>;
            async fn reset(&self) -> Result<(), peerage::rpc::CallError>;
            async fn run(
                &self,
                start: f64,
                steps: Vec<Step>,
            ) -> Result<f64, peerage::rpc::CallError>;
            /// `precision` may be left out; it is `6` then.
            /// `exact` may be left out; it is `false` then.
            async fn evaluate(
                &self,
                expression: String,
                precision: Option<i32>,
                exact: Option<bool>,
            ) -> Result<f64, peerage::rpc::CallError>;
            async fn get_peers(&self) -> Result<Vec<NodeProxy>, peerage::rpc::CallError>;
            async fn get_variables(
                &self,
            ) -> Result<std::collections::BTreeMap<String, f64>, peerage::rpc::CallError>;
            async fn seeds(&self) -> Result<peerage::object::Set<i64>, peerage::rpc::CallError>;
            #[event]
            fn progress(done: i32, total: i32, message: String);
            #[event]
            fn finished(result: f64);
        }

        /// One of those that compute.
        #[peerage::agent]
        pub trait Node {
            #[property]
            async fn name(&self) -> String;
            async fn compute(
                &self,
                r#type: Operation,
                operands: Vec<f64>,
            ) -> Result<f64, peerage::rpc::CallError>;
            async fn owner(&self) -> Result<CalculatorProxy, peerage::rpc::CallError>;
        }

        /// Remembers what was computed.
        #[peerage::agent(version = 3)]
        pub trait HistoryCalculator {
            #[property]
            async fn peer_count(&self) -> i32;
            #[property]
            async fn set_peer_count(&self, peer_count: i32);
            async fn sum(&self, values: Vec<f64>) -> Result<f64, peerage::rpc::CallError>;
            async fn add_later(
                &self,
                a: peerage::rpc::Later<f64>,
                b: peerage::rpc::Later<f64>,
            ) -> Result<f64, peerage::rpc::CallError>;
            async fn reset(&self) -> Result<(), peerage::rpc::CallError>;
            async fn run(
                &self,
                start: f64,
                steps: Vec<Step>,
            ) -> Result<f64, peerage::rpc::CallError>;
            /// `precision` may be left out; it is `6` then.
            /// `exact` may be left out; it is `false` then.
            async fn evaluate(
                &self,
                expression: String,
                precision: Option<i32>,
                exact: Option<bool>,
            ) -> Result<f64, peerage::rpc::CallError>;
            async fn get_peers(&self) -> Result<Vec<NodeProxy>, peerage::rpc::CallError>;
            async fn get_variables(
                &self,
            ) -> Result<std::collections::BTreeMap<String, f64>, peerage::rpc::CallError>;
            async fn seeds(&self) -> Result<peerage::object::Set<i64>, peerage::rpc::CallError>;
            #[event]
            fn progress(done: i32, total: i32, message: String);
            #[event]
            fn finished(result: f64);
            #[property]
            async fn length(&self) -> i32;
            async fn get_step(&self, index: i32) -> Result<Step, peerage::rpc::CallError>;
            #[event]
            fn forgotten(count: i32);
        }
    }
}

pub use self::math::distributed as calc;

#[peerage::agent]
pub trait Desk {
    async fn calculator(
        &self,
    ) -> Result<math::distributed::CalculatorProxy, peerage::rpc::CallError>;
    #[property]
    async fn last(&self) -> math::distributed::Operation;
    #[property]
    async fn set_last(&self, last: math::distributed::Operation);
}
