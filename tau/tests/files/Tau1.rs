// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod mlb {
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct C0 {
        pub n0: i32,
        pub s0: String,
    }
}
