// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod kai {
    pub mod network {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct PeerInfo {
            pub id: String,
            pub name: String,
            pub bytes_sent: i64,
            pub capabilities: Vec<String>,
            pub properties: std::collections::BTreeMap<String, peerage::object::Dynamic>,
        }

        #[peerage::agent]
        pub trait Node {
            #[property]
            async fn id(&self) -> String;
            #[property]
            async fn name(&self) -> String;
            #[property]
            async fn set_name(&self, name: String);
            /// It is `false` at first.
            #[property]
            async fn is_running(&self) -> bool;
            async fn listen(&self, port: i32) -> Result<bool, peerage::rpc::CallError>;
            /// `port` may be left out; it is `14589` then.
            async fn connect(
                &self,
                host: String,
                port: Option<i32>,
            ) -> Result<bool, peerage::rpc::CallError>;
            async fn disconnect(&self, peer_id: String) -> Result<(), peerage::rpc::CallError>;
            async fn get_peer_count(&self) -> Result<i32, peerage::rpc::CallError>;
            async fn get_peers(&self) -> Result<Vec<PeerInfo>, peerage::rpc::CallError>;
            async fn send(
                &self,
                peer_id: String,
                data: peerage::object::Blob,
            ) -> Result<(), peerage::rpc::CallError>;
            async fn call(
                &self,
                peer_id: String,
                method: String,
                arguments: Vec<peerage::object::Dynamic>,
            ) -> Result<peerage::object::Dynamic, peerage::rpc::CallError>;
            async fn on_message(
                &self,
                r#type: String,
                handler: peerage::rpc::Reference,
            ) -> Result<(), peerage::rpc::CallError>;
            async fn version(&self) -> Result<String, peerage::rpc::CallError>;
            #[event]
            fn peer_connected(peer: PeerInfo);
            #[event]
            fn peer_disconnected(peer_id: String, reason: String);
        }
    }
}
