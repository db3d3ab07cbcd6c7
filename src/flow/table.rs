//! The flow table of one shard: finds, opens, updates, expires and evicts.

use std::time::Duration;

use super::index::Index;
use super::wheel::{NONE, Wheel};
use super::{Directed, FlowEndReason, FlowEntry, FlowFlags, FlowKey, Side};
use crate::decode::{Packet, TCP, TcpFlags, UDP};
use crate::model::{Tick, Timestamp};
use bytemuck::Zeroable;

/// After how much silence a flow ends, and how often a long one reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP that both sides took part in.
    pub tcp_established: Duration,
    /// TCP of which one side only was seen.
    pub tcp_new: Duration,
    /// TCP after FIN from both sides, or RST: late packets still belong to the flow.
    pub tcp_closed: Duration,
    /// UDP.
    pub udp: Duration,
    /// Everything else.
    pub other: Duration,
    /// A flow that goes on reports this often.
    pub active: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Agents hold connections open with heartbeats of up to four minutes.
            tcp_established: Duration::from_secs(300),
            // A SYN is repeated for about a minute.
            tcp_new: Duration::from_secs(60),
            tcp_closed: Duration::from_secs(5),
            udp: Duration::from_secs(60),
            other: Duration::from_secs(30),
            // What IPFIX exporters commonly use (RFC 7011 leaves it open).
            active: Duration::from_secs(1800),
        }
    }
}

/// Where a packet stands in the input and in time.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Entry number of the flow.
    pub number: u32,
    /// The packet opened it.
    pub opened: bool,
    /// Which way the packet goes.
    pub direction: Directed,
}

/// A flow that is over, or that reports.
#[derive(Clone, Copy, Debug)]
pub struct Expired {
    /// When it was decided: the deadline, not the moment of the sweep.
    pub at: Timestamp,
    /// Why.
    pub reason: FlowEndReason,
}

/// Flows of one shard.
#[derive(Debug)]
pub struct FlowTable {
    entries: Vec<FlowEntry>,
    /// Entries that are not in use, linked by `wheel_next`.
    free: u32,
    in_use: usize,
    capacity: usize,
    index: Index,
    wheel: Wheel,
    seed: u64,
    timeouts: Timeouts,
    started: bool,
}

impl FlowTable {
    /// A table for at most `capacity` flows (at least one).
    pub fn new(capacity: usize, seed: u64, timeouts: Timeouts) -> Self {
        let capacity = capacity.clamp(1, NONE as usize / 4);
        Self {
            // Reserved, not touched: memory is used as flows come.
            entries: Vec::with_capacity(capacity),
            free: NONE,
            in_use: 0,
            capacity,
            index: Index::new(),
            wheel: Wheel::new(),
            seed,
            timeouts,
            started: false,
        }
    }

    /// Flows held now.
    pub fn len(&self) -> usize {
        self.in_use
    }

    /// Whether no flow is held.
    pub fn is_empty(&self) -> bool {
        self.in_use == 0
    }

    /// The flow with this number.
    #[inline]
    pub fn entry_mut(&mut self, number: u32) -> Option<&mut FlowEntry> {
        self.entries.get_mut(number as usize)
    }

    /// The number of the flow with this key.
    #[inline]
    pub fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        self.index.find(hash, |number| {
            self.entries
                .get(number as usize)
                .is_some_and(|entry| entry.key.is(key))
        })
    }

    /// The number that the flow with this hash most likely has; a hint for [`Self::touch`].
    #[inline]
    pub fn likely(&self, hash: u64) -> u32 {
        self.index.likely(hash)
    }

    /// Loads both cache lines of an entry, so that they are near when the flow is updated. The sum means nothing; it keeps the
    /// loads from being left out.
    #[inline]
    pub fn touch(&self, number: u32) -> u64 {
        self.entries
            .get(number as usize)
            .map_or(0, |entry| u64::from(entry.wheel_next) ^ entry.first_seq)
    }

    /// All flows held, with their numbers.
    pub fn flows(&self) -> impl Iterator<Item = (u32, &FlowEntry)> {
        (0u32..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.flags.has(FlowFlags::IN_USE))
    }

    /// Whether something may be due at `now`.
    #[inline]
    pub fn is_behind(&self, now: Tick) -> bool {
        self.wheel.now() < now
    }

    /// The next tick at which something may be due.
    pub fn next_due(&self) -> Option<Tick> {
        self.wheel.next_occupied()
    }

    /// Ends what is due at `now` and lets long flows report; `each` sees every such flow while it is still whole.
    pub fn advance(&mut self, now: Tick, each: &mut impl FnMut(&mut FlowEntry, Expired)) {
        if !self.started {
            self.wheel.start_at(now);
            return;
        }
        while let Some(mut at) = self.wheel.take_due(now) {
            let tick = self.wheel.now();
            while at != NONE {
                let Some(entry) = self.entries.get_mut(at as usize) else {
                    break;
                };
                let next = entry.wheel_next;
                if entry.deadline <= tick {
                    let reason = if entry.flags.has(FlowFlags::CLOSED) {
                        FlowEndReason::EndOfFlow
                    } else {
                        FlowEndReason::IdleTimeout
                    };
                    each(
                        entry,
                        Expired {
                            at: entry.deadline.begin(),
                            reason,
                        },
                    );
                    self.release(at);
                } else {
                    if entry.active_deadline <= tick {
                        let at = entry.active_deadline.begin();
                        each(
                            entry,
                            Expired {
                                at,
                                reason: FlowEndReason::ActiveTimeout,
                            },
                        );
                        entry.active_deadline =
                            Tick::at_or_after(at.after(self.timeouts.active)).max(tick.next());
                    }
                    let due = entry.deadline.min(entry.active_deadline);
                    self.wheel.file(&mut self.entries, at, due);
                }
                at = next;
            }
        }
    }

    /// Counts a packet to its flow, opening one where there is none. `ended` sees a flow that gives way: to a new connection
    /// on the same ports, or to make room.
    ///
    /// The table must have been advanced to `stream_time` before.
    #[inline]
    #[allow(
        clippy::too_many_arguments,
        reason = "key, hash and sender were computed once, to find the shard"
    )]
    pub fn update(
        &mut self,
        key: &FlowKey,
        hash: u64,
        sender: Side,
        packet: &Packet,
        timestamp: Timestamp,
        stream_time: Timestamp,
        seq: u64,
        ended: &mut impl FnMut(&mut FlowEntry, FlowEndReason),
    ) -> Update {
        let found = self.find(key, hash);
        // What nearly all packets are: one more of a flow that is known and goes on.
        if let Some(number) = found
            && let Some(entry) = self.entries.get_mut(number as usize)
            && !is_new_connection(entry, sender, packet)
        {
            let direction = direction_of(entry, sender);
            let place = (timestamp, stream_time);
            if count(entry, direction, packet, place, &self.timeouts) {
                self.wheel.unfile(&mut self.entries, number);
                self.file(number);
            }
            return Update {
                number,
                opened: false,
                direction,
            };
        }
        if let Some(number) = found {
            if let Some(entry) = self.entries.get_mut(number as usize) {
                ended(entry, FlowEndReason::EndOfFlow);
            }
            self.wheel.unfile(&mut self.entries, number);
            self.release(number);
        } else if self.in_use >= self.capacity {
            self.evict(ended);
        }
        let number = self.open(key, hash, sender, packet, timestamp, stream_time, seq);
        let mut direction = Directed::FromInitiator;
        if let Some(entry) = self.entries.get_mut(number as usize) {
            direction = direction_of(entry, sender);
            count(
                entry,
                direction,
                packet,
                (timestamp, stream_time),
                &self.timeouts,
            );
        }
        // It is in no list yet, even where its first packet already ends it.
        self.file(number);
        Update {
            number,
            opened: true,
            direction,
        }
    }

    /// Files an entry, which is in no list of the wheel, under what is due first.
    fn file(&mut self, number: u32) {
        let due = self
            .entries
            .get(number as usize)
            .map_or(Tick::default(), |entry| {
                entry.deadline.min(entry.active_deadline)
            });
        self.wheel.file(&mut self.entries, number, due);
    }

    /// All flows held, those that opened first first: `seq` of the first packet, and the entry's number.
    pub fn numbers_by_age(&self) -> Vec<(u64, u32)> {
        let mut numbers: Vec<(u64, u32)> = self
            .flows()
            .map(|(number, entry)| (entry.first_seq, number))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// Takes a flow out.
    pub fn remove(&mut self, number: u32) {
        self.wheel.unfile(&mut self.entries, number);
        self.release(number);
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "what the first packet of a flow brings"
    )]
    fn open(
        &mut self,
        key: &FlowKey,
        hash: u64,
        sender: Side,
        packet: &Packet,
        timestamp: Timestamp,
        stream_time: Timestamp,
        seq: u64,
    ) -> u32 {
        if !self.started {
            self.started = true;
            self.wheel.start_at(Tick::of(stream_time));
        }
        let mut entry = FlowEntry::zeroed();
        entry.key = *key;
        entry.first_time = timestamp;
        entry.last_time = timestamp;
        entry.first_seq = seq;
        entry.active_deadline = Tick::at_or_after(stream_time.after(self.timeouts.active));
        entry.flags = FlowFlags::IN_USE;
        if initiator(sender, packet) == Side::B {
            entry.flags.set(FlowFlags::INITIATOR_IS_B);
        }
        if packet.ip.protocol == TCP && !packet.tcp.flags.has(TcpFlags::SYN) {
            entry.flags.set(FlowFlags::MIDSTREAM);
        }
        let number = if let Some(unused) = self.entries.get_mut(self.free as usize) {
            let number = self.free;
            self.free = unused.wheel_next;
            *unused = entry;
            number
        } else {
            self.entries.push(entry);
            (self.entries.len() as u32).saturating_sub(1)
        };
        self.in_use = self.in_use.saturating_add(1);
        self.index.insert(hash, number);
        number
    }

    /// Makes room: the flow that is nearest to its end goes. Finished flows are, since they linger shortest.
    #[cold]
    fn evict(&mut self, ended: &mut impl FnMut(&mut FlowEntry, FlowEndReason)) {
        /// Entries whose deadline has moved on are filed anew on the way; more than this is not worth a new flow.
        const REFILED_MAX: u32 = 32;
        let mut refiled = 0u32;
        while let Some(number) = self.wheel.nearest() {
            let Some(entry) = self.entries.get_mut(number as usize) else {
                return;
            };
            let due = entry.deadline.min(entry.active_deadline);
            self.wheel.unfile(&mut self.entries, number);
            let Some(entry) = self.entries.get_mut(number as usize) else {
                return;
            };
            if due > entry.wheel_tick && refiled < REFILED_MAX {
                refiled = refiled.saturating_add(1);
                self.wheel.file(&mut self.entries, number, due);
                continue;
            }
            ended(entry, FlowEndReason::LackOfResources);
            self.release(number);
            return;
        }
    }

    /// Gives an entry, which is in no list of the wheel, back.
    fn release(&mut self, number: u32) {
        let hash = self
            .entries
            .get(number as usize)
            .map_or(0, |entry| entry.key.hash(self.seed));
        self.index.remove(hash, number);
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.flags = FlowFlags::default();
            entry.wheel_next = self.free;
        }
        self.free = number;
        self.in_use = self.in_use.saturating_sub(1);
    }
}

/// A SYN from the same side on a connection that is over, or with another initial sequence number, begins a new one.
#[inline]
fn is_new_connection(entry: &FlowEntry, sender: Side, packet: &Packet) -> bool {
    if packet.ip.protocol != TCP
        || !packet.tcp.flags.has(TcpFlags::SYN)
        || packet.tcp.flags.has(TcpFlags::ACK)
    {
        return false;
    }
    let other_start = entry.flags.has(FlowFlags::START_KNOWN)
        && entry.initiator() == sender
        && packet.tcp.sequence.wrapping_add(1) != entry.stream_start;
    entry.flags.has(FlowFlags::CLOSED) || other_start
}

#[inline]
fn direction_of(entry: &FlowEntry, sender: Side) -> Directed {
    if entry.initiator() == sender {
        Directed::FromInitiator
    } else {
        Directed::FromResponder
    }
}

/// Who began: the sender of the first packet, unless it answers (SYN with ACK), or it comes from a well-known port to one
/// that is not, which only servers do.
fn initiator(sender: Side, packet: &Packet) -> Side {
    const WELL_KNOWN_MAX: u16 = 1023;
    let flags = packet.tcp.flags;
    let answers = match packet.ip.protocol {
        TCP if flags.has(TcpFlags::SYN) => flags.has(TcpFlags::ACK),
        TCP | UDP => {
            packet.source_port <= WELL_KNOWN_MAX && packet.destination_port > WELL_KNOWN_MAX
        }
        _ => false,
    };
    if answers { sender.other() } else { sender }
}

/// Adds a packet to its entry. True if the deadline moved nearer, so that the entry has to be filed anew.
#[inline]
fn count(
    entry: &mut FlowEntry,
    direction: Directed,
    packet: &Packet,
    (timestamp, stream_time): (Timestamp, Timestamp),
    timeouts: &Timeouts,
) -> bool {
    let at = direction.index();
    if let Some(bytes) = entry.bytes.get_mut(at) {
        *bytes = bytes.saturating_add(u64::from(packet.ip.bytes));
    }
    if let Some(packets) = entry.packets.get_mut(at) {
        *packets = packets.saturating_add(1);
    }
    entry.first_time = entry.first_time.min(timestamp);
    entry.last_time = entry.last_time.max(timestamp);
    let mut closed_now = false;
    let timeout = match packet.ip.protocol {
        TCP => {
            closed_now = follow_tcp(entry, direction, packet);
            let [from_initiator, from_responder] = entry.packets;
            if entry.flags.has(FlowFlags::CLOSED) {
                timeouts.tcp_closed
            } else if from_initiator > 0 && from_responder > 0 {
                timeouts.tcp_established
            } else {
                timeouts.tcp_new
            }
        }
        UDP => timeouts.udp,
        _ => timeouts.other,
    };
    entry.deadline = Tick::at_or_after(stream_time.after(timeout));
    closed_now
}

/// Flags, where the initiator's bytes begin, and whether the connection closed with this packet.
#[inline]
fn follow_tcp(entry: &mut FlowEntry, direction: Directed, packet: &Packet) -> bool {
    let flags = packet.tcp.flags;
    if let Some(seen) = entry.tcp_flags.get_mut(direction.index()) {
        *seen |= flags.0;
    }
    if flags.has(TcpFlags::SYN) && !entry.flags.has(FlowFlags::START_KNOWN) {
        match direction {
            Directed::FromInitiator => entry.stream_start = packet.tcp.sequence.wrapping_add(1),
            Directed::FromResponder => entry.stream_start = packet.tcp.acknowledgment,
        }
        entry.flags.set(FlowFlags::START_KNOWN);
    }
    if packet.payload_wire_len > 0 {
        entry.flags.set(match direction {
            Directed::FromInitiator => FlowFlags::INITIATOR_PAYLOAD,
            Directed::FromResponder => FlowFlags::RESPONDER_PAYLOAD,
        });
    }
    if entry.flags.has(FlowFlags::CLOSED) {
        return false;
    }
    let [one, other] = entry.tcp_flags;
    let closed = (one | other) & TcpFlags::RST != 0 || one & other & TcpFlags::FIN != 0;
    if closed {
        entry.flags.set(FlowFlags::CLOSED);
    }
    closed
}

#[cfg(test)]
mod tests;
