// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod chat {
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
    pub enum Presence {
        #[serde(rename = "online")]
        Online,
        #[serde(rename = "away")]
        Away,
        #[serde(rename = "do_not_disturb")]
        DoNotDisturb,
        #[serde(rename = "offline")]
        Offline,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct User {
        pub user_id: String,
        pub display_name: String,
        /// May be left out; it is `Presence.offline` then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub presence: Option<Presence>,
        pub avatar: peerage::object::Blob,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Entry {
        pub at: peerage::object::Date,
        pub author: User,
        pub text: String,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Attachment {
        pub at: peerage::object::Date,
        pub author: User,
        pub text: String,
        pub file_name: String,
        pub content: peerage::object::Blob,
    }

    #[peerage::agent]
    pub trait Room {
        #[property]
        async fn topic(&self) -> String;
        #[property]
        async fn set_topic(&self, topic: String);
        #[property]
        async fn created(&self) -> peerage::object::Date;
        /// `count` may be left out; it is `50` then.
        async fn history(&self, count: Option<i32>) -> Result<Vec<Entry>, peerage::rpc::CallError>;
        async fn post(&self, text: String) -> Result<(), peerage::rpc::CallError>;
        async fn attach(&self, attachment: Attachment) -> Result<(), peerage::rpc::CallError>;
        #[event]
        fn posted(entry: Entry);
        #[event]
        fn typing(user: User, now: bool);
    }

    #[peerage::agent]
    pub trait Chat {
        async fn login(
            &self,
            name: String,
            password: String,
        ) -> Result<User, peerage::rpc::CallError>;
        async fn enter(&self, name: String) -> Result<RoomProxy, peerage::rpc::CallError>;
        async fn rooms(
            &self,
        ) -> Result<std::collections::BTreeMap<String, RoomProxy>, peerage::rpc::CallError>;
        async fn count(
            &self,
        ) -> Result<std::collections::BTreeMap<Presence, i32>, peerage::rpc::CallError>;
    }
}
