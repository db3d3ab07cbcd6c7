//! The stages in their order, on one thread or many. The only place that knows them all.
//!
//! A newcomer reads [`shard`] first: the way of a packet in one function.
//!
//! **Invariants**: state is cut into [`SHARDS`] virtual shards by the keyed hash of a flow; a worker owns some of them, and the
//! number of workers cannot show in the output; queues are bounded and their batches recycled.

mod balance;
mod bucket;
mod counters;
mod dispatch;
mod encrypted_dns;
mod facts;
mod facts_tls;
mod locate;
mod merge;
mod name_services;
mod paths;
mod run;
pub mod shard;
mod worker;

pub use crate::protocol::decrypt::{KeyCounters, KeyStore, LineKind};
pub use balance::conservation;
pub use counters::{FrameCounters, HostFactCounters, ShardCounters};
pub use locate::{FlowLocator, FragmentFinder};
pub use merge::EventSink;
pub use run::{Outcome, ReplayError, replay};

use std::sync::Arc;
use std::time::Duration;

use crate::aggregate::LedgerSettings;
use crate::attribute::Ruleset;
use crate::flow::{DuplicateLimits, FragmentLimits, HomeNetworks, StreamLimits, Timeouts};

/// Virtual shards. Fixed, because capacity and eviction belong to the shard; the most workers there can be.
pub const SHARDS: usize = 64;

/// Bounds of what is kept about name services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsLimits {
    /// How long an answer is waited for while the flow goes on.
    pub transaction_timeout: Duration,
    /// Questions that wait for their answer, over all shards.
    pub pending_max: usize,
    /// Questions that wait in one flow.
    pub pending_per_flow_max: usize,
}

impl Default for DnsLimits {
    fn default() -> Self {
        Self {
            // Stub resolvers repeat a question for up to 30 seconds (resolv.conf: 5 s, 2 attempts, 3 servers).
            transaction_timeout: Duration::from_secs(30),
            // About 300 bytes each: 80 MB when full.
            pending_max: 1 << 18,
            // A forwarder asks from one port; what it has open at a time is searched in turn.
            pending_per_flow_max: 256,
        }
    }
}

/// Bounds of what is done about the faults of a mirror port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorLimits {
    /// Packets that come twice.
    pub duplicates: DuplicateLimits,
    /// Connections whose acknowledgments are followed at a time, over all shards.
    pub followed_max: usize,
}

impl Default for MirrorLimits {
    fn default() -> Self {
        Self {
            duplicates: DuplicateLimits::default(),
            // 120 bytes each: 1 MiB. A sample of them tells the share that is lost as well as all would.
            followed_max: 1 << 13,
        }
    }
}

/// Bounds of what is kept about QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicSettings {
    /// Hellos that wait for the rest of them, over all shards.
    pub hellos_max: usize,
    /// Bytes they hold together.
    pub hello_bytes_max: usize,
    /// Initial packets that are opened in one flow.
    pub initials_per_flow_max: u16,
}

impl Default for QuicSettings {
    fn default() -> Self {
        Self {
            // Less than a round trip each, some 900 bytes of keys and state: 60 MB when full.
            hellos_max: 1 << 16,
            // A post-quantum hello is about 1.7 kB; the rest is for attacks.
            hello_bytes_max: 128 << 20,
            // 64 KiB of CRYPTO, which is more than any hello has, are some 55 packets of 1200 bytes.
            initials_per_flow_max: 64,
        }
    }
}

/// Bounds of what is kept about TLS beside the client's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsLimits {
    /// Servers' handshakes put together at a time, over all shards.
    pub servers_max: usize,
    /// Bytes they hold together.
    pub server_bytes_max: usize,
    /// Hellos of DTLS put together at a time, over all shards.
    pub dtls_hellos_max: usize,
    /// Bytes they hold together.
    pub dtls_bytes_max: usize,
}

impl Default for TlsLimits {
    fn default() -> Self {
        Self {
            // Between a hello and the end of the certificate is a round trip; as many as clients' handshakes.
            servers_max: 1 << 16,
            // A certificate of 2 kB is usual.
            server_bytes_max: 128 << 20,
            // Few programs speak DTLS, and most hellos are one datagram.
            dtls_hellos_max: 1 << 14,
            dtls_bytes_max: 32 << 20,
        }
    }
}

/// Secrets of TLS, and bounds of what is decrypted by them.
#[derive(Clone, Debug)]
pub struct DecryptSettings {
    /// Secrets known from the start; captures may add some.
    pub keys: Arc<KeyStore>,
    /// Sessions whose secrets are kept.
    pub secrets_max: usize,
    /// Sessions decrypted at a time, over all shards.
    pub sessions_max: usize,
}

impl Default for DecryptSettings {
    fn default() -> Self {
        Self {
            keys: Arc::new(KeyStore::default()),
            // About 250 bytes each: 16 MB when full. A browser's day has some thousands.
            secrets_max: 1 << 16,
            // 3 kB each, and a record of 16 KiB while it is put together: they last as long as their connections.
            sessions_max: 1 << 14,
        }
    }
}

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
    /// Questions to name services.
    pub dns: DnsLimits,
    /// What is done about the faults of a mirror port.
    pub mirror: MirrorLimits,
    /// What waits for the rest of its datagram.
    pub fragments: FragmentLimits,
    /// Hellos of QUIC.
    pub quic: QuicSettings,
    /// What is kept about TLS beside the client's stream.
    pub tls: TlsLimits,
    /// What is known that decrypts TLS.
    pub decrypt: DecryptSettings,
    /// Whether an output wants what a hello offers beside the name: ALPN, versions, fingerprints.
    pub hello_details: bool,
    /// What is made of events.
    pub ledger: LedgerSettings,
    /// What is inside.
    pub home: Arc<HomeNetworks>,
    /// What names mean.
    pub rules: Arc<Ruleset>,
    /// Key of the flow hash: fixed offline, so that a capture gives the same output always.
    pub hash_seed: u64,
}
