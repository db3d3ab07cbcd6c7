//! Packets → biflows: who began, bytes and packets each way, how it ended.
//!
//! **Invariants**: knows no protocol above TCP; time comes from the packet; a table holds at most its capacity and says what it
//! evicted; whether a flow has expired depends on packet time alone ([`crate::model::Tick`]); nothing is allocated per packet.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod duplicates;
mod entry;
mod fragments;
mod home;
mod index;
mod key;
mod loss;
mod record;
mod table;
mod tcp_stream;
mod wheel;
mod zones;

pub use duplicates::{DuplicateCounters, DuplicateLimits, DuplicateWindow, fingerprint};
pub use entry::{Directed, FlowEntry, FlowFlags};
pub use fragments::{
    Added, Datagram, DatagramCounters, DatagramOutcome, FragmentLimits, Fragments, LostFragments,
};
pub use home::{HomeNetworks, NetworkError};
pub use key::{Endpoint, FlowKey, Side};
pub use loss::{Acknowledged, LossCounters, LossProbe};
pub use record::{Counters, FlowEndReason, FlowId, FlowRecord};
pub use table::{Expired, FlowTable, Timeouts, Update};
pub use tcp_stream::{Delivery, StreamLimits, TcpStream};
pub use zones::{ZoneId, ZoneTable};
