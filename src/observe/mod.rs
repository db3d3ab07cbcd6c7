//! Messages → observations: which names a flow shows, and where it stands if it shows none.
//!
//! **Invariants**: knows no rules; memory is bounded per flow and in all, and refusals are counted; a name is kept once however
//! many flows show it.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod handshake;
mod names;
mod slab;

pub use handshake::{HandshakeCounters, HandshakeLimits, HandshakeReader, Seen, SeenName};
pub use names::{NameId, NamePool};
pub use slab::Slab;
