//! Acknowledgments → bytes of TCP that arrived at their host and never came by here.
//!
//! What a receiver acknowledges, it has got. If the bytes were not among the packets, the mirror port, the tap or the capture
//! lost them. Flows are followed in a table of fixed size; a small capture is followed whole, of a large one the flows that find
//! room, a sample that does not depend on what they carry.

use super::{Directed, FlowFlags};
use crate::decode::{Packet, TCP, TcpFlags};
use crate::model::Timestamp;

use std::time::Duration;

/// Gaps of one direction that may still be filled by packets that come late.
const HOLES: usize = 4;
/// Half of the number space: what is farther ahead is behind (RFC 9293 §3.4).
const HALF: u32 = 1 << 31;
/// A jump farther than this is no loss but a number made up: resets and probes have such.
const JUMP_MAX: u32 = 64 << 20;
/// A flow that was silent so long gives its place to another.
const SILENT: Duration = Duration::from_secs(30);

/// What was seen of acknowledged bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounters {
    /// Connections that were followed.
    pub flows: u64,
    /// Connections that found no room.
    pub flows_without_room: u64,
    /// Bytes that receivers acknowledged.
    pub acknowledged_bytes: u64,
    /// Those of them that were in no packet.
    pub unseen_bytes: u64,
}

impl std::ops::AddAssign for LossCounters {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.flows, other.flows),
            (&mut self.flows_without_room, other.flows_without_room),
            (&mut self.acknowledged_bytes, other.acknowledged_bytes),
            (&mut self.unseen_bytes, other.unseen_bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Bytes that did not come by yet.
#[derive(Clone, Copy, Debug, Default)]
struct Hole {
    start: u32,
    len: u32,
}

impl Hole {
    /// How far `number` lies behind the start, in the number space.
    const fn behind_start(self, number: u32) -> u32 {
        number.wrapping_sub(self.start)
    }
}

/// What one side has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    known: bool,
    /// One behind the last byte that was seen, or acknowledged.
    next: u32,
    /// Up to where its peer has acknowledged.
    acknowledged: u32,
    holes: [Hole; HOLES],
}

/// A connection.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    /// Hash of the flow and position of its first packet; both zero is none.
    flow: u64,
    first_seq: u64,
    last: Timestamp,
    senders: [Sender; 2],
}

/// The connections of one shard that are followed.
#[derive(Debug)]
pub struct LossProbe {
    places: Vec<Followed>,
    counters: LossCounters,
}

/// A packet of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged<'a> {
    /// Hash of the flow.
    pub flow: u64,
    /// Position of the first packet of the flow.
    pub first_seq: u64,
    /// State of the flow, the packet counted.
    pub flags: FlowFlags,
    /// Packets that have come by from the initiator and from the responder, this one among them.
    pub packets: [u64; 2],
    /// Which way the packet goes.
    pub direction: Directed,
    /// The packet.
    pub packet: &'a Packet,
    /// Stream time.
    pub time: Timestamp,
}

impl LossProbe {
    /// A probe that follows so many connections at a time.
    pub fn new(flows_max: usize) -> Self {
        Self {
            places: vec![Followed::default(); flows_max.max(1).next_power_of_two()],
            counters: LossCounters::default(),
        }
    }

    /// What was seen so far.
    pub fn counters(&self) -> LossCounters {
        let mut counters = self.counters;
        for sender in self.places.iter().flat_map(|place| &place.senders) {
            counters.unseen_bytes = counters.unseen_bytes.saturating_add(sender.unseen());
        }
        counters
    }

    /// Takes a packet of TCP that has been counted to its flow.
    #[inline]
    pub fn packet(&mut self, seen: &Acknowledged<'_>) {
        // One side alone says nothing: where the other was never mirrored, all of it would seem lost. And a flood of
        // connections that nobody answers takes no place.
        let [from_initiator, from_responder] = seen.packets;
        if seen.packet.ip.protocol != TCP || from_initiator == 0 || from_responder == 0 {
            return;
        }
        // Bits of the hash that choose neither the shard nor the place in the flow table.
        let at = (seen.flow >> 40) as usize & self.places.len().wrapping_sub(1);
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        if place.flow != seen.flow || place.first_seq != seen.first_seq {
            let is_free =
                place.last == Timestamp::default() || seen.time.since(place.last) >= SILENT;
            if !is_free {
                let [sent, _] = match seen.direction {
                    Directed::FromInitiator => [from_initiator, from_responder],
                    Directed::FromResponder => [from_responder, from_initiator],
                };
                // Counted once: with the first packet by which it has two sides.
                self.counters.flows_without_room = self
                    .counters
                    .flows_without_room
                    .saturating_add(u64::from(sent == 1));
                return;
            }
            for sender in &place.senders {
                self.counters.unseen_bytes =
                    self.counters.unseen_bytes.saturating_add(sender.unseen());
            }
            *place = Followed {
                flow: seen.flow,
                first_seq: seen.first_seq,
                ..Followed::default()
            };
            self.counters.flows = self.counters.flows.saturating_add(1);
        }
        place.last = seen.time;
        let [one, other] = &mut place.senders;
        let (sender, peer) = match seen.direction {
            Directed::FromInitiator => (one, other),
            Directed::FromResponder => (other, one),
        };
        let counters = &mut self.counters;
        sender.sent(seen.packet, counters);
        if seen.packet.tcp.flags.has(TcpFlags::ACK) && !seen.packet.tcp.flags.has(TcpFlags::RST) {
            peer.was_acknowledged(seen.packet.tcp.acknowledgment, counters);
        }
        if seen.flags.has(FlowFlags::CLOSED) {
            // Late packets still belong to it, but another may have the place.
            place.last = Timestamp::from_nanos(1);
        }
    }
}

impl Sender {
    /// The side sent a packet.
    fn sent(&mut self, packet: &Packet, counters: &mut LossCounters) {
        let flags = packet.tcp.flags;
        if flags.has(TcpFlags::RST) {
            return;
        }
        // SYN and FIN take a number each.
        let len = packet
            .payload_wire_len
            .wrapping_add(u32::from(flags.has(TcpFlags::SYN)))
            .wrapping_add(u32::from(flags.has(TcpFlags::FIN)));
        let (begin, end) = (packet.tcp.sequence, packet.tcp.sequence.wrapping_add(len));
        if !self.known {
            *self = Self {
                known: true,
                next: end,
                // The number of a SYN is no byte.
                acknowledged: begin.wrapping_add(u32::from(flags.has(TcpFlags::SYN))),
                ..Self::default()
            };
            return;
        }
        if len == 0 {
            return;
        }
        self.fill(begin, len, counters);
        let ahead = begin.wrapping_sub(self.next);
        if ahead > 0 && ahead < HALF {
            self.open(self.next, ahead, counters);
            self.next = end;
        } else if end.wrapping_sub(self.next) < HALF {
            self.next = end;
        }
    }

    /// The peer has got everything before `number`.
    fn was_acknowledged(&mut self, number: u32, counters: &mut LossCounters) {
        if !self.known {
            return;
        }
        let more = number.wrapping_sub(self.acknowledged);
        if more == 0 || more >= HALF {
            return;
        }
        self.acknowledged = number;
        let ahead = number.wrapping_sub(self.next);
        if ahead > 0 && ahead < HALF {
            self.open(self.next, ahead, counters);
            self.next = number;
        }
        if more <= JUMP_MAX {
            counters.acknowledged_bytes =
                counters.acknowledged_bytes.saturating_add(u64::from(more));
        }
    }

    /// Notes a gap; where there are too many, the oldest will not be filled any more.
    #[cold]
    fn open(&mut self, start: u32, len: u32, counters: &mut LossCounters) {
        if len > JUMP_MAX {
            return;
        }
        let hole = Hole { start, len };
        if let Some(unused) = self.holes.iter_mut().find(|hole| hole.len == 0) {
            *unused = hole;
            return;
        }
        let [oldest, b, c, d] = self.holes;
        counters.unseen_bytes = counters.unseen_bytes.saturating_add(self.lost(oldest));
        self.holes = [b, c, d, hole];
    }

    /// Bytes came that may lie in a gap.
    fn fill(&mut self, begin: u32, len: u32, counters: &mut LossCounters) {
        let mut rest = None;
        for hole in self.holes.iter_mut().filter(|hole| hole.len > 0) {
            let (after, before) = (hole.behind_start(begin), hole.start.wrapping_sub(begin));
            if after < hole.len {
                // It begins inside: what lies before stays a gap, and so does what lies behind it.
                let left = hole.len.saturating_sub(after);
                if len < left {
                    rest = Some((begin.wrapping_add(len), left.saturating_sub(len)));
                }
                hole.len = after;
            } else if before < len {
                let filled = len.saturating_sub(before).min(hole.len);
                hole.start = hole.start.wrapping_add(filled);
                hole.len = hole.len.saturating_sub(filled);
            }
        }
        if let Some((start, len)) = rest {
            self.open(start, len, counters);
        }
    }

    /// How many bytes of a gap the peer has got.
    const fn lost(&self, hole: Hole) -> u64 {
        let reached = hole.behind_start(self.acknowledged);
        if hole.len == 0 || reached >= HALF {
            0
        } else if reached < hole.len {
            reached as u64
        } else {
            hole.len as u64
        }
    }

    /// Bytes that the peer has got and that are still missing.
    fn unseen(&self) -> u64 {
        self.holes.iter().map(|hole| self.lost(*hole)).sum()
    }
}
