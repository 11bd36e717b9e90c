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
        async fn v0(&self);
        async fn v1(&self, a0: i32);
        async fn v2(&self, a0: i32, a1: i32);
        async fn m1(&self) -> i32;
        async fn m2(&self, a0: i32) -> i32;
        async fn m3(&self, a0: i32, a1: i32) -> i32;
    }
}
