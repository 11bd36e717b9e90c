// Made from Tau by `peerage idl --rust`: change that file, and make this one again.

pub mod mlb {
    #[peerage::agent]
    pub trait C0 {
        #[property]
        async fn n0(&self) -> i32;
        #[property]
        async fn set_n0(&self, n0: i32);
        #[property]
        async fn s0(&self) -> String;
        #[property]
        async fn set_s0(&self, s0: String);
        async fn v0(&self) -> Result<(), peerage::rpc::CallError>;
        async fn v1(&self, a0: i32) -> Result<(), peerage::rpc::CallError>;
        async fn v2(&self, a0: i32, a1: i32) -> Result<(), peerage::rpc::CallError>;
        async fn m1(&self) -> Result<i32, peerage::rpc::CallError>;
        async fn m2(&self, a0: i32) -> Result<i32, peerage::rpc::CallError>;
        async fn m3(&self, a0: i32, a1: i32) -> Result<i32, peerage::rpc::CallError>;
    }
}
