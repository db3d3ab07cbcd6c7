//! Stream bytes → messages, one folder a protocol.
//!
//! **Invariants**: knows no packet, flow or time; every parser is bounded and takes its bytes in any pieces.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod decrypt;
pub mod dhcp;
pub mod dns;
pub mod dtls;
mod host;
pub mod http1;
pub mod http2;
pub mod nbns;
pub mod proxy_header;
pub mod quic;
pub mod recognise;
mod short_text;
pub mod socks;
pub mod starttls;
pub mod tls;

pub use short_text::{SHORT_TEXT_MAX, ShortText};

/// What a parser says after it was fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The message is not complete yet.
    NeedMore,
    /// The message is there.
    Done,
    /// This is not the protocol, or not a message that can be read.
    Mismatch,
}
