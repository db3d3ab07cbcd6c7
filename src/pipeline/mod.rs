//! The stages in their order, on one thread or many. The only place that knows them all.
//!
//! A newcomer reads [`shard`] first: the way of a packet in one function.
//!
//! **Invariants**: state is cut into [`SHARDS`] virtual shards by the keyed hash of a flow; a worker owns some of them, and the
//! number of workers cannot show in the output; queues are bounded and their batches recycled.

mod balance;
mod counters;
mod dispatch;
mod merge;
mod run;
pub mod shard;
mod worker;

pub use balance::conservation;
pub use counters::{FrameCounters, ShardCounters};
pub use merge::EventSink;
pub use run::{Outcome, ReplayError, replay};

use std::sync::Arc;

use crate::attribute::Ruleset;
use crate::flow::{HomeNetworks, StreamLimits, Timeouts};

/// Virtual shards. Fixed, because capacity and eviction belong to the shard; the most workers there can be.
pub const SHARDS: usize = 64;

/// Everything that decides what comes out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Worker threads, 1 to [`SHARDS`]; 1 does everything on the calling thread.
    pub workers: usize,
    /// Frames a batch.
    pub batch_frames: usize,
    /// Flows held at a time, over all shards.
    pub flows_max: usize,
    /// Distinct names held at a time, over all shards.
    pub names_max: usize,
    /// Handshakes being put together at a time, over all shards.
    pub handshakes_max: usize,
    /// Bytes they hold together.
    pub handshake_bytes_max: usize,
    /// What one stream may hold.
    pub stream: StreamLimits,
    /// When flows end.
    pub timeouts: Timeouts,
    /// What is inside.
    pub home: Arc<HomeNetworks>,
    /// What names mean.
    pub rules: Arc<Ruleset>,
    /// Key of the flow hash: fixed offline, so that a capture gives the same output always.
    pub hash_seed: u64,
}
