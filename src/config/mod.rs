//! Limits and choices → validated [`Settings`] for the pipeline. Every limit has a default and a reason.
//!
//! **Invariants**: knows what the stages need, not how the user said it; a value that cannot work is refused with the remedy.

use std::sync::Arc;

use crate::attribute::Ruleset;
use crate::flow::{HomeNetworks, NetworkError, StreamLimits, Timeouts};
use crate::pipeline::{DnsLimits, SHARDS, Settings};

/// Every bound of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows held at a time.
    pub flows_max: usize,
    /// Distinct names held at a time.
    pub names_max: usize,
    /// Handshakes being put together at a time.
    pub handshakes_max: usize,
    /// Bytes they hold together.
    pub handshake_bytes_max: usize,
    /// Exposures listed.
    pub exposures_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 128 bytes each and 16 of index: 300 MB when full, none of it touched before.
            flows_max: 1 << 21,
            // A name stays while a flow refers to it; a large network shows some 100,000 names a day.
            names_max: 1 << 20,
            // One flow in five splits its hello, and puts it together within a round trip.
            handshakes_max: 1 << 16,
            // Their average need is 2 kB; the rest is for attacks, which end here.
            handshake_bytes_max: 128 << 20,
            // Hosts times vendors: 1,000 hosts with 100 vendors each.
            exposures_max: 100_000,
        }
    }
}

/// A choice that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A limit of zero.
    #[error("{name} is 0: nothing could be held; give at least 1")]
    Zero {
        /// The limit.
        name: &'static str,
    },
    /// More than any machine could hold.
    #[error("{name} is {value}: more than avscope can hold; give at most {most}")]
    TooLarge {
        /// The limit.
        name: &'static str,
        /// What was asked for.
        value: usize,
        /// What can be.
        most: usize,
    },
    /// More workers than there are shards.
    #[error(
        "{workers} workers: there can be 1 to {SHARDS}, one for each of the {SHARDS} parts that flows are divided into"
    )]
    Workers {
        /// What was asked for.
        workers: usize,
    },
    /// A home network that is none.
    #[error(transparent)]
    HomeNetwork(#[from] NetworkError),
}

/// Key of the flow hash for captures: fixed, so that a capture gives the same output always.
const OFFLINE_HASH_SEED: u64 = 0x6176_7363_6f70_6531;

/// How many workers help: below three cores the reader and the ledger need what a second worker would take.
pub fn default_workers() -> usize {
    const HELPFUL_MAX: usize = 8;
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cores => (cores - 1).min(HELPFUL_MAX),
    }
}

/// Settings for reading captures.
pub fn offline(
    workers: Option<usize>,
    batch_frames: usize,
    limits: &Limits,
    home_networks: &[String],
    rules: Arc<Ruleset>,
) -> Result<Settings, ConfigError> {
    let workers = workers.unwrap_or_else(default_workers);
    if !(1..=SHARDS).contains(&workers) {
        return Err(ConfigError::Workers { workers });
    }
    for (name, value, most) in [
        // 36 GB of flows; address space for them is reserved at the start.
        ("--flows-max", limits.flows_max, 1 << 28),
        ("--names-max", limits.names_max, 1 << 28),
        ("--handshakes-max", limits.handshakes_max, 1 << 24),
        ("--handshake-bytes-max", limits.handshake_bytes_max, 1 << 36),
        ("--exposures-max", limits.exposures_max, 1 << 24),
        // More than a batch of packets that fits a cache brings nothing.
        ("--batch-frames", batch_frames, 1 << 16),
    ] {
        if value == 0 {
            return Err(ConfigError::Zero { name });
        }
        if value > most {
            return Err(ConfigError::TooLarge { name, value, most });
        }
    }
    let home = if home_networks.is_empty() {
        HomeNetworks::default()
    } else {
        HomeNetworks::new(home_networks)?
    };
    Ok(Settings {
        workers,
        batch_frames,
        flows_max: limits.flows_max,
        names_max: limits.names_max,
        handshakes_max: limits.handshakes_max,
        handshake_bytes_max: limits.handshake_bytes_max,
        stream: StreamLimits::default(),
        timeouts: Timeouts::default(),
        dns: DnsLimits::default(),
        home: Arc::new(home),
        rules,
        hash_seed: OFFLINE_HASH_SEED,
    })
}
