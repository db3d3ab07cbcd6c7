//! Payload → observations: what a flow shows in clear, and where it stands if it shows nothing.
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

mod dns;
mod dtls;
mod hello;
mod names;
mod quic;
mod server;
mod slab;
mod stream;

pub use dns::{Arrival, DnsCounters, DnsReader, QuestionLimits, SeenFrame, Transaction};
pub use dtls::{DtlsCounters, DtlsLimits, DtlsReader};
pub use names::{NameId, NamePool, TextKind};
pub use quic::{
    Datagram, Opening, QuicCounters, QuicFlow, QuicHello, QuicLimits, QuicReader, may_begin_another,
};
pub use server::{ServerCounters, ServerLimits, ServerPlace, ServerReader, may_turn_to_tls};
pub use slab::Slab;
pub use stream::{
    DecryptCounters, HandshakeCounters, HandshakeLimits, Inside, Message, StreamReader,
    coverage_of, unrecognised,
};
