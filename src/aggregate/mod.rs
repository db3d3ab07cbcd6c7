//! Ordered events of all shards → what a person wants to know: exposures, and an account of every byte.
//!
//! **Invariants**: events arrive in the order of their keys, whatever the number of workers; every table has a bound and counts
//! what it refused; sums are kept so that [`Conservation`] can compare them with what was read.

mod attempt;
mod bytes;
mod conservation;
mod encrypted_dns;
mod event;
mod exposure;
mod home_hint;
mod host_fact;
mod hosts;
mod judgement;
mod ledger;
mod resolver;
mod rhythm;
mod sighting;
mod tls_seen;
mod verdict;
mod watch;
mod zone_sums;

pub use bytes::{ByteLedger, Traffic};
pub use conservation::{Conservation, Equation};
pub use encrypted_dns::EncryptedDnsHosts;
pub use event::{
    DnsData, DnsRecord, DnsTransaction, EventKey, EventRef, EventRun, Evidence, FlowOpened,
    FlowReported, FrameRef, ListRef, MessageObserved, Ordinal, TextRef,
};
pub use exposure::{Carried, Contacts, Exposure, ExposureKey, Exposures, Host, PurposeRecord};
pub use home_hint::{HomeHint, ProposedHome};
pub use host_fact::{DhcpMessage, HostFact};
pub use hosts::{
    Clients, HopLimits, HostCounters, HostLimits, Hosts, Lease, LinkSeen, NameSeen, Place,
    RelaySign, RoleFound, Signs, Tenancy, VendorSign, VlanSeen,
};
pub use judgement::{Judgement, Weighed};
pub use ledger::{Ledger, LedgerCounters, LedgerSettings};
pub use resolver::{MemoryLimits, Remembered, Resolved, ResolverMemory};
pub use rhythm::{Interval, Rhythm};
pub use sighting::{Counts, EvidenceSample, Places, Sighting};
pub use tls_seen::{CertificateSeen, HelloSeen, ServerSeen, TlsSeen};
pub use verdict::{VerdictLimits, VerdictReason};
pub use watch::{HostWatch, SLOT_SECONDS, UNZONED, Watch, WatchKey, WatchLimits, WatchRow};
pub use zone_sums::ZoneSums;
