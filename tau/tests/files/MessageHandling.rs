// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod kai {
    pub mod network {
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
        pub enum Priority {
            Low = 1,
            Normal = 5,
            High = 10,
        }

        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Message {
            pub id: i64,
            pub r#type: String,
            pub from: String,
            pub to: String,
            pub payload: peerage::object::Blob,
            pub sent: peerage::object::Date,
            /// May be left out; it is `Priority.Normal` then.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub priority: Option<Priority>,
            pub replies: Vec<Message>,
        }

        #[peerage::agent]
        pub trait MessageHandler {
            async fn r#match(
                &self,
                r#type: String,
                r#where: String,
            ) -> Result<bool, peerage::rpc::CallError>;
            /// `function` may be left out; it is `true` then.
            async fn delete(
                &self,
                new: i64,
                function: Option<bool>,
            ) -> Result<(), peerage::rpc::CallError>;
            async fn r#yield(&self, self_: Priority) -> Result<(), peerage::rpc::CallError>;
            #[property]
            async fn r#move(&self) -> i32;
            #[property]
            async fn set_move(&self, r#move: i32);
        }

        #[peerage::agent]
        pub trait MessageQueue {
            async fn r#match(
                &self,
                r#type: String,
                r#where: String,
            ) -> Result<bool, peerage::rpc::CallError>;
            /// `function` may be left out; it is `true` then.
            async fn delete(
                &self,
                new: i64,
                function: Option<bool>,
            ) -> Result<(), peerage::rpc::CallError>;
            async fn r#yield(&self, self_: Priority) -> Result<(), peerage::rpc::CallError>;
            #[property]
            async fn r#move(&self) -> i32;
            #[property]
            async fn set_move(&self, r#move: i32);
            #[property]
            async fn depth(&self) -> i32;
            async fn push(&self, message: Message) -> Result<(), peerage::rpc::CallError>;
            /// `timeout_ms` may be left out; it is `-1` then.
            async fn pop(
                &self,
                timeout_ms: Option<i32>,
            ) -> Result<Message, peerage::rpc::CallError>;
            async fn subscribe(
                &self,
                topic: String,
                on_message: peerage::rpc::Reference,
            ) -> Result<(), peerage::rpc::CallError>;
            async fn histogram(&self) -> Result<Vec<Vec<i64>>, peerage::rpc::CallError>;
            #[event]
            fn received(message: Message);
            #[event]
            fn dropped(message: Message, reason: String);
        }
    }
}
