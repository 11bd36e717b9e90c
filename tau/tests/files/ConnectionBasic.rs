// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod kai {
    pub mod network {
        /// How far a connection has come.
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
        pub enum ConnectionState {
            Disconnected = 0,
            Connecting,
            /// Both sides know each other.
            Connected = 5,
            FAILED = -1,
        }

        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct ConnectionInfo {
            pub address: String,
            /// May be left out; it is `14589` then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub port: Option<i32>,
            /// May be left out; it is `ConnectionState.Disconnected` then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub state: Option<ConnectionState>,
            pub since: peerage::object::Date,
        }

        #[peerage::agent]
        pub trait Connection {
            /// It is `ConnectionState.Disconnected` at first.
            #[property]
            async fn state(&self) -> ConnectionState;
            /// It is `5000` at first.
            #[property]
            async fn timeout_ms(&self) -> i32;
            #[property]
            async fn set_timeout_ms(&self, timeout_ms: i32);
            async fn connect(
                &self,
                address: String,
                port: i32,
            ) -> Result<bool, peerage::rpc::CallError>;
            async fn disconnect(&self) -> Result<(), peerage::rpc::CallError>;
            async fn get_info(&self) -> Result<ConnectionInfo, peerage::rpc::CallError>;
            /// `timeout_ms` may be left out; it is `1000` then.
            async fn ping(&self, timeout_ms: Option<i32>) -> Result<bool, peerage::rpc::CallError>;
            #[event]
            fn state_changed(before: ConnectionState, now: ConnectionState);
            /// `message` may be left out; it is `"unknown"` then.
            #[event]
            fn error(code: i32, message: Option<String>);
        }
    }
}
