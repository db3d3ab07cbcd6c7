//! What a flow leaves behind.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Endpoint, FlowEntry, FlowFlags, FlowKey};
use crate::decode::TcpFlags;
use crate::model::{AppProtocol, Coverage, Locality, Timestamp, closed_set};

closed_set! {
    /// Why a record was written (RFC 5102 §5.11.3, flowEndReason).
    pub enum FlowEndReason {
        /// Nothing came for the idle timeout.
        IdleTimeout = "idle_timeout",
        /// The flow goes on; this is what it carried so far.
        ActiveTimeout = "active_timeout",
        /// TCP ended by FIN from both sides, by RST, or by a new connection on the same ports.
        EndOfFlow = "end_of_flow",
        /// The input ended.
        ForcedEnd = "forced_end",
        /// The table was full and made room.
        LackOfResources = "lack_of_resources",
    }
}

/// Bytes and packets, from the initiator and from the responder, at the IP layer (RFC 5103).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes including the IP header.
    pub bytes: [u64; 2],
    /// Packets.
    pub packets: [u64; 2],
}

impl Counters {
    /// What `self` has beyond `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let minus = |now: [u64; 2], then: [u64; 2]| {
            let ([a, b], [c, d]) = (now, then);
            [a.saturating_sub(c), b.saturating_sub(d)]
        };
        Self {
            bytes: minus(self.bytes, earlier.bytes),
            packets: minus(self.packets, earlier.packets),
        }
    }

    /// Packets both ways.
    pub fn packets_total(&self) -> u64 {
        let [a, b] = self.packets;
        a.saturating_add(b)
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in self.bytes.iter_mut().zip(other.bytes) {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.packets.iter_mut().zip(other.packets) {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Names a flow in every output: 53 bits, so that JSON readers keep it exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

impl FlowId {
    /// From the key and the position of the first packet; the same for the same capture, always.
    pub fn of(key: &FlowKey, first_seq: u64) -> Self {
        Self(xxh3_64_with_seed(bytemuck::bytes_of(key), first_seq) >> 11)
    }
}

/// A flow as exported.
#[derive(Clone, Copy, Debug)]
pub struct FlowRecord {
    /// Names the flow.
    pub id: FlowId,
    /// Both ends and the protocol.
    pub key: FlowKey,
    /// The end that began.
    pub initiator: Endpoint,
    /// The end that answered.
    pub responder: Endpoint,
    /// Time of the first packet.
    pub start: Timestamp,
    /// Time of the latest packet.
    pub end: Timestamp,
    /// `seq` of the first packet.
    pub first_seq: u64,
    /// Everything it carried.
    pub total: Counters,
    /// What it carried since the record before this one.
    pub since_last: Counters,
    /// Why this record was written.
    pub end_reason: FlowEndReason,
    /// TCP flags seen from the initiator and from the responder.
    pub tcp_flags: [TcpFlags; 2],
    /// Whether the initiator and the responder sent payload.
    pub payload: [bool; 2],
    /// The capture began in the middle of it.
    pub midstream: bool,
    /// TCP ended by FIN from both sides or by RST before the record was written.
    pub closed: bool,
    /// On which side of the border it ran.
    pub locality: Locality,
    /// The bucket its bytes are in, by what the flow itself showed.
    pub coverage: Coverage,
    /// What was recognised in it.
    pub app_protocol: Option<AppProtocol>,
    /// It carried questions to a name service, encrypted.
    pub encrypted_dns: bool,
}

impl FlowRecord {
    /// The record of `entry` as it stands; `reported` is what records before this one have said.
    pub fn of(entry: &FlowEntry, end_reason: FlowEndReason, reported: &Counters) -> Self {
        let total = entry.counters();
        Self {
            id: FlowId::of(&entry.key, entry.first_seq()),
            key: entry.key,
            initiator: entry.initiator_endpoint(),
            responder: entry.responder_endpoint(),
            start: entry.first_time(),
            end: entry.last_time(),
            first_seq: entry.first_seq(),
            total,
            since_last: total.since(reported),
            end_reason,
            tcp_flags: entry.tcp_flags(),
            payload: [
                entry.flags.has(FlowFlags::INITIATOR_PAYLOAD),
                entry.flags.has(FlowFlags::RESPONDER_PAYLOAD),
            ],
            midstream: entry.flags.has(FlowFlags::MIDSTREAM),
            closed: entry.flags.has(FlowFlags::CLOSED),
            locality: entry.locality(),
            coverage: entry.coverage(),
            app_protocol: entry.app_protocol(),
            encrypted_dns: entry.flags.has(FlowFlags::ENCRYPTED_DNS),
        }
    }
}
