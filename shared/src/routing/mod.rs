//! From names to node ids to next hops: who keeps a zone's [`names`], and the [`routes`] that a relay
//! forwards along.

pub mod names;
pub mod routes;
