// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

/// Opened again.
pub mod r#type {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Loop {
        pub r#fn: i32,
        /// May be left out; it is `0x10` then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub r#impl: Option<i32>,
        pub r#match: Vec<Vec<String>>,
        pub r#as: Vec<Vec<bool>>,
    }

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
    pub enum Kind {
        #[serde(rename = "Self")]
        Self_,
        #[serde(rename = "not_ready")]
        NotReady,
        #[serde(rename = "NOT_LIKELY")]
        NotLikely,
        Super = 7,
        #[serde(rename = "crate")]
        Crate,
    }

    pub mod delete {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Loop {
            pub outer: super::Loop,
            pub self_: super::Kind,
        }

        #[peerage::agent]
        pub trait Super {
            /// `crate_` may be left out; it is `Kind.Self` then.
            async fn r#move(
                &self,
                super_: super::Loop,
                crate_: Option<super::Kind>,
            ) -> Result<Loop, peerage::rpc::CallError>;
        }
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Tree {
        pub branches: Vec<Tree>,
        pub by_name: std::collections::BTreeMap<String, Tree>,
        pub all: peerage::object::Set<Kind>,
        pub calls: Vec<peerage::rpc::Reference>,
    }

    pub use self::delete as short;

    #[peerage::agent]
    pub trait Far {
        /// `crate_` may be left out; it is `Kind.Self` then.
        async fn r#move(
            &self,
            super_: Loop,
            crate_: Option<Kind>,
        ) -> Result<delete::Loop, peerage::rpc::CallError>;
        async fn near(
            &self,
            tree: peerage::rpc::Later<Tree>,
            done: peerage::rpc::Later<()>,
            calls: Vec<peerage::rpc::Reference>,
        ) -> Result<delete::Loop, peerage::rpc::CallError>;
        async fn handler(&self) -> Result<peerage::rpc::Reference, peerage::rpc::CallError>;
        async fn any(
            &self,
            value: peerage::object::Dynamic,
        ) -> Result<peerage::object::Dynamic, peerage::rpc::CallError>;
        #[event]
        fn nothing();
    }
}

pub mod other {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Loop {
        pub different: f32,
    }

    #[peerage::agent(version = 4)]
    pub trait Further {
        /// `crate_` may be left out; it is `Kind.Self` then.
        async fn r#move(
            &self,
            super_: super::r#type::Loop,
            crate_: Option<super::r#type::Kind>,
        ) -> Result<super::r#type::delete::Loop, peerage::rpc::CallError>;
        async fn near(
            &self,
            tree: peerage::rpc::Later<super::r#type::Tree>,
            done: peerage::rpc::Later<()>,
            calls: Vec<peerage::rpc::Reference>,
        ) -> Result<super::r#type::delete::Loop, peerage::rpc::CallError>;
        async fn handler(&self) -> Result<peerage::rpc::Reference, peerage::rpc::CallError>;
        async fn any(
            &self,
            value: peerage::object::Dynamic,
        ) -> Result<peerage::object::Dynamic, peerage::rpc::CallError>;
        #[event]
        fn nothing();
        async fn here(&self) -> Result<Loop, peerage::rpc::CallError>;
        #[property]
        async fn numbers(&self) -> Vec<i64>;
        #[property]
        async fn set_numbers(&self, numbers: Vec<i64>);
        #[property]
        async fn call(&self) -> peerage::rpc::Reference;
        /// Ends */ here; `text` says "*/".
        /// `text` may be left out; it is `"*/ \" \\"` then.
        async fn quote(&self, text: Option<String>) -> Result<(), peerage::rpc::CallError>;
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Plain {
        pub different: f32,
        pub x: f64,
    }

    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Most {
        pub different: f32,
        pub x: f64,
        /// May be left out; it is `true` then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub y: Option<bool>,
    }
}
