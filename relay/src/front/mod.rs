//! Fronts: who speaks for what cannot be a node. A front speaks a foreign protocol with a program, and
//! holds a node in the mesh for it.

pub mod adapter;
pub mod enet;
pub mod events;
pub mod held;
pub mod mqtt;
pub(crate) mod out;
pub(crate) mod program;
