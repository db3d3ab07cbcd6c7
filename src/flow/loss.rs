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
    /// One behind the last byte that was seen, or acknowledged.
    next: u32,
    /// Up to where its peer has acknowledged.
    acknowledged: u32,
    /// Whether anything is known of it.
    known: bool,
    /// Whether it has, or has had, gaps; they lie elsewhere, for few have any.
    has_holes: bool,
}

/// Gaps of what one side has sent.
type Holes = [Hole; HOLES];

/// A connection, in the cache line that each of its packets takes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Followed {
    /// Hash of the flow and position of its first packet; both zero is none.
    flow: u64,
    first_seq: u64,
    last: Timestamp,
    senders: [Sender; 2],
}

const _: () = assert!(size_of::<Followed>() == 64);

/// The connections of one shard that are followed.
#[derive(Debug)]
pub struct LossProbe {
    places: Vec<Followed>,
    /// The gaps of the connection in each place.
    holes: Vec<[Holes; 2]>,
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
    pub packets: [u32; 2],
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
        let places = flows_max.max(1).next_power_of_two();
        Self {
            places: vec![Followed::default(); places],
            holes: vec![[Holes::default(); 2]; places],
            counters: LossCounters::default(),
        }
    }

    /// What was seen so far.
    pub fn counters(&self) -> LossCounters {
        let mut counters = self.counters;
        for (place, holes) in self.places.iter().zip(&self.holes) {
            counters.unseen_bytes = counters.unseen_bytes.saturating_add(place.unseen(holes));
        }
        counters
    }

    /// Loads where a flow with this hash is followed. The sum means nothing.
    #[inline]
    pub fn touch(&self, flow: u64) -> u64 {
        self.places
            .get(self.place(flow))
            .map_or(0, |place| place.flow)
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
        let at = self.place(seen.flow);
        let Some(place) = self.places.get_mut(at) else {
            return;
        };
        let (holes, counters) = (&mut self.holes, &mut self.counters);
        let is_it = place.flow == seen.flow && place.first_seq == seen.first_seq;
        if !is_it && !place.take(seen, holes.get(at), counters) {
            return;
        }
        let tcp = &seen.packet.tcp;
        place.last = seen.time;
        let [one, other] = &mut place.senders;
        let (sender, peer) = match seen.direction {
            Directed::FromInitiator => (one, other),
            Directed::FromResponder => (other, one),
        };
        if !sender.sent_next(seen.packet) {
            let holes = holes_of(holes, at, seen.direction);
            sender.sent_otherwise(seen.packet, holes, counters);
        }
        if tcp.flags.has(TcpFlags::ACK)
            && !tcp.flags.has(TcpFlags::RST)
            && let Some(more) = peer.was_acknowledged(tcp.acknowledgment)
        {
            if more <= JUMP_MAX {
                counters.acknowledged_bytes =
                    counters.acknowledged_bytes.saturating_add(u64::from(more));
            }
            if peer.is_behind(tcp.acknowledgment) {
                let holes = holes_of(holes, at, seen.direction.opposite());
                peer.was_acknowledged_ahead(tcp.acknowledgment, holes, counters);
            }
        }
        if seen.flags.has(FlowFlags::CLOSED) {
            // Late packets still belong to it, but another may have the place.
            place.last = Timestamp::from_nanos(1);
        }
    }

    #[inline]
    const fn place(&self, flow: u64) -> usize {
        // Bits of the hash that choose neither the shard nor the place in the flow table.
        (flow >> 40) as usize & self.places.len().wrapping_sub(1)
    }
}

impl Followed {
    /// Gives the place to the flow of a packet, if it is free.
    #[inline(never)]
    fn take(
        &mut self,
        seen: &Acknowledged<'_>,
        holes: Option<&[Holes; 2]>,
        counters: &mut LossCounters,
    ) -> bool {
        let is_free = self.last == Timestamp::default() || seen.time.since(self.last) >= SILENT;
        if !is_free {
            let [from_initiator, from_responder] = seen.packets;
            let sent = match seen.direction {
                Directed::FromInitiator => from_initiator,
                Directed::FromResponder => from_responder,
            };
            // Counted once: with the first packet by which it has two sides.
            counters.flows_without_room = counters
                .flows_without_room
                .saturating_add(u64::from(sent == 1));
            return false;
        }
        let unseen = holes.map_or(0, |holes| self.unseen(holes));
        counters.unseen_bytes = counters.unseen_bytes.saturating_add(unseen);
        *self = Self {
            flow: seen.flow,
            first_seq: seen.first_seq,
            ..Self::default()
        };
        counters.flows = counters.flows.saturating_add(1);
        true
    }

    /// Bytes that receivers have got and that are still missing.
    fn unseen(&self, holes: &[Holes; 2]) -> u64 {
        let sides = self.senders.iter().zip(holes);
        sides
            .filter(|(sender, _)| sender.has_holes)
            .flat_map(|(sender, holes)| holes.iter().map(|hole| sender.lost(*hole)))
            .sum()
    }
}

/// The gaps of one side of the connection in a place.
#[cold]
fn holes_of(all: &mut [[Holes; 2]], at: usize, side: Directed) -> Option<&mut Holes> {
    all.get_mut(at)?.get_mut(side.index())
}

impl Sender {
    /// The side sent what nearly all packets are: nothing, or what comes next where nothing is missing. False for all others.
    #[inline]
    fn sent_next(&mut self, packet: &Packet) -> bool {
        const NUMBERED: u8 = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        let len = packet.payload_wire_len;
        if packet.tcp.flags.0 & NUMBERED != 0 || !self.known {
            return false;
        }
        let is_next = packet.tcp.sequence == self.next && !self.has_holes && len < HALF;
        if is_next {
            self.next = self.next.wrapping_add(len);
        }
        is_next || len == 0
    }

    /// The side sent any packet.
    #[inline(never)]
    fn sent_otherwise(
        &mut self,
        packet: &Packet,
        holes: Option<&mut Holes>,
        counters: &mut LossCounters,
    ) {
        let flags = packet.tcp.flags;
        let Some(holes) = holes.filter(|_| !flags.has(TcpFlags::RST)) else {
            return;
        };
        // SYN and FIN take a number each.
        let len = packet
            .payload_wire_len
            .wrapping_add(u32::from(flags.has(TcpFlags::SYN)))
            .wrapping_add(u32::from(flags.has(TcpFlags::FIN)));
        let (begin, end) = (packet.tcp.sequence, packet.tcp.sequence.wrapping_add(len));
        if !self.known {
            *self = Self {
                known: true,
                has_holes: false,
                next: end,
                // The number of a SYN is no byte.
                acknowledged: begin.wrapping_add(u32::from(flags.has(TcpFlags::SYN))),
            };
            return;
        }
        if len == 0 {
            return;
        }
        if self.has_holes {
            self.fill(begin, len, holes, counters);
        }
        if self.is_behind(begin) {
            let ahead = begin.wrapping_sub(self.next);
            self.open(self.next, ahead, holes, counters);
            self.next = end;
        } else if end.wrapping_sub(self.next) < HALF {
            self.next = end;
        }
    }

    /// The peer has got everything before `number`; how much more that is than before, if it is more.
    #[inline]
    fn was_acknowledged(&mut self, number: u32) -> Option<u32> {
        let more = number.wrapping_sub(self.acknowledged);
        if !self.known || more == 0 || more >= HALF {
            return None;
        }
        self.acknowledged = number;
        Some(more)
    }

    /// Whether `number` lies ahead of everything that was seen.
    #[inline]
    const fn is_behind(&self, number: u32) -> bool {
        let ahead = number.wrapping_sub(self.next);
        ahead > 0 && ahead < HALF
    }

    /// The peer has got bytes ahead of what was seen.
    #[cold]
    fn was_acknowledged_ahead(
        &mut self,
        number: u32,
        holes: Option<&mut Holes>,
        counters: &mut LossCounters,
    ) {
        if let Some(holes) = holes {
            let ahead = number.wrapping_sub(self.next);
            self.open(self.next, ahead, holes, counters);
            self.next = number;
        }
    }

    /// Notes a gap; where there are too many, the oldest will not be filled any more.
    #[cold]
    fn open(&mut self, start: u32, len: u32, holes: &mut Holes, counters: &mut LossCounters) {
        if len > JUMP_MAX {
            return;
        }
        if !self.has_holes {
            (self.has_holes, *holes) = (true, Holes::default());
        }
        let hole = Hole { start, len };
        if let Some(unused) = holes.iter_mut().find(|hole| hole.len == 0) {
            *unused = hole;
            return;
        }
        let [oldest, b, c, d] = *holes;
        counters.unseen_bytes = counters.unseen_bytes.saturating_add(self.lost(oldest));
        *holes = [b, c, d, hole];
    }

    /// Bytes came that may lie in a gap.
    fn fill(&mut self, begin: u32, len: u32, holes: &mut Holes, counters: &mut LossCounters) {
        let mut rest = None;
        for hole in holes.iter_mut().filter(|hole| hole.len > 0) {
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
            self.open(start, len, holes, counters);
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
}
