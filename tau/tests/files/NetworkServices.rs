// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod kai {
    pub mod network {
        /// What nodes offer each other.
        pub mod services {
            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub struct ServiceInfo {
                pub name: String,
                /// May be left out; it is `"1.0"` then.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub version: Option<String>,
                pub tags: Vec<String>,
                pub metadata: std::collections::BTreeMap<String, String>,
            }

            /// Finds services by name.
            #[peerage::agent(version = 1)]
            pub trait ServiceRegistry {
                /// It is `0` at first.
                #[property]
                async fn service_count(&self) -> i32;
                async fn register(
                    &self,
                    service: ServiceInfo,
                    instance: peerage::object::Dynamic,
                ) -> Result<bool, peerage::rpc::CallError>;
                async fn unregister(&self, name: String) -> Result<bool, peerage::rpc::CallError>;
                /// `pattern` may be left out; it is `"*"` then.
                async fn find(
                    &self,
                    pattern: Option<String>,
                ) -> Result<Vec<ServiceInfo>, peerage::rpc::CallError>;
                async fn resolve(
                    &self,
                    name: String,
                ) -> Result<peerage::object::Dynamic, peerage::rpc::CallError>;
                #[event]
                fn service_registered(service: ServiceInfo);
                #[event]
                fn service_unregistered(name: String);
            }

            /// Talk, room by room.
            #[peerage::agent]
            pub trait ChatService {
                async fn join(
                    &self,
                    room: String,
                    user: String,
                ) -> Result<(), peerage::rpc::CallError>;
                async fn leave(
                    &self,
                    room: String,
                    user: String,
                ) -> Result<(), peerage::rpc::CallError>;
                async fn say(
                    &self,
                    room: String,
                    text: String,
                ) -> Result<(), peerage::rpc::CallError>;
                async fn get_users(
                    &self,
                    room: String,
                ) -> Result<Vec<String>, peerage::rpc::CallError>;
                #[event]
                fn message_received(
                    room: String,
                    user: String,
                    text: String,
                    at: peerage::object::Date,
                );
                #[event]
                fn user_joined(room: String, user: String);
                #[event]
                fn user_left(room: String, user: String);
            }

            pub mod files {
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
                pub enum TransferState {
                    Waiting,
                    Running,
                    Paused,
                    Done,
                    Failed,
                    Cancelled,
                }

                #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
                #[serde(rename_all = "camelCase")]
                pub struct Transfer {
                    pub id: i64,
                    pub path: String,
                    pub size: i64,
                    /// May be left out; it is `TransferState.Waiting` then.
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    pub state: Option<TransferState>,
                    pub service: super::ServiceInfo,
                }
            }

            /// Sends files, in parts.
            #[peerage::agent]
            pub trait FileTransferService {
                async fn send(
                    &self,
                    path: String,
                    announce_in: ChatServiceProxy,
                ) -> Result<files::Transfer, peerage::rpc::CallError>;
                /// `length` may be left out; it is `65536` then.
                async fn read_part(
                    &self,
                    id: i64,
                    offset: i64,
                    length: Option<i32>,
                ) -> Result<peerage::object::Blob, peerage::rpc::CallError>;
                async fn pause(&self, id: i64) -> Result<bool, peerage::rpc::CallError>;
                async fn resume(&self, id: i64) -> Result<bool, peerage::rpc::CallError>;
                /// `reason` may be left out; it is `""` then.
                async fn cancel(
                    &self,
                    id: i64,
                    reason: Option<String>,
                ) -> Result<bool, peerage::rpc::CallError>;
                #[event]
                fn progress(id: i64, bytes_done: i64, bytes_total: i64);
                #[event]
                fn completed(transfer: files::Transfer);
                #[event]
                fn cancelled(id: i64, reason: String);
            }
        }
    }
}
