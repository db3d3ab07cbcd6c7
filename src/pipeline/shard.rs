//! The way of a packet: flow → protocol → observe → attribute, and what the ledger hears of it.
//!
//! A shard sees the packets of its flows in the order of the input and nothing else, so its state is the same whoever runs it.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{SHARDS, Settings, ShardCounters};
use crate::aggregate::{
    EventKey, EventRun, Evidence, FlowOpened, FlowReported, NameObserved, Ordinal,
};
use crate::attribute::{RuleMatch, Ruleset};
use crate::decode::{Packet, TCP};
use crate::flow::{
    Counters, Directed, FlowEndReason, FlowEntry, FlowFlags, FlowId, FlowKey, FlowRecord,
    FlowTable, HomeNetworks, Side, Update,
};
use crate::model::{Coverage, EvidenceKind, Tick, Timestamp};
use crate::observe::{HandshakeLimits, HandshakeReader, NameId, NamePool, Seen, Slab};

/// A decoded packet on its way to its shard.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What was decoded.
    pub packet: Packet,
    /// Its flow's key.
    pub key: FlowKey,
    /// Which end of the key sent it.
    pub sender: Side,
    /// Keyed hash of the key.
    pub hash: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Running maximum of timestamps.
    pub stream_time: Timestamp,
    /// Position in the input.
    pub seq: u64,
    /// Which shard it is for.
    pub shard: u16,
    /// Captured bytes.
    pub captured_len: u32,
    /// Where they begin in the storage of the batch.
    pub offset: u64,
}

impl Task {
    /// The frame that the packet was decoded from.
    #[inline]
    pub fn frame<'a>(&self, storage: &'a [u8]) -> &'a [u8] {
        let start = self.offset as usize;
        storage
            .get(start..start.saturating_add(self.captured_len as usize))
            .unwrap_or_default()
    }
}

/// The flows of one virtual shard and all that is kept about them.
#[derive(Debug)]
pub struct Shard {
    flows: FlowTable,
    handshakes: HandshakeReader,
    rest: Keeping,
}

/// What a shard keeps beside the flow table.
#[derive(Debug)]
struct Keeping {
    details: Slab<Detail>,
    names: NamePool<Option<RuleMatch>>,
    rules: Arc<Ruleset>,
    home: Arc<HomeNetworks>,
    counters: ShardCounters,
}

/// What only some flows need.
#[derive(Clone, Copy, Debug, Default)]
struct Detail {
    /// Place of the handshake being put together.
    handshake: Option<u32>,
    /// The name shown.
    sighting: Option<Sighting>,
    /// What earlier records have said.
    reported: Counters,
}

/// A name shown by a flow, and the frame that showed it.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// `None` where the pool had no room.
    name: Option<NameId>,
    rule: Option<RuleMatch>,
    seq: u64,
    frame_hash: u64,
    time: Timestamp,
    ech_offered: bool,
}

impl Shard {
    /// A shard with its part of the limits.
    pub fn new(settings: &Settings) -> Self {
        let part = |whole: usize| whole.div_ceil(SHARDS).max(1);
        let limits = HandshakeLimits {
            handshakes_max: part(settings.handshakes_max),
            bytes_max: part(settings.handshake_bytes_max),
            stream: settings.stream,
        };
        Self {
            flows: FlowTable::new(
                part(settings.flows_max),
                settings.hash_seed,
                settings.timeouts,
            ),
            handshakes: HandshakeReader::new(limits),
            rest: Keeping {
                details: Slab::default(),
                names: NamePool::new(part(settings.names_max), settings.hash_seed),
                rules: Arc::clone(&settings.rules),
                home: Arc::clone(&settings.home),
                counters: ShardCounters::default(),
            },
        }
    }

    /// The number that a packet's flow most likely has; a hint for [`Self::touch`].
    #[inline]
    pub fn likely(&self, task: &Task) -> u32 {
        self.flows.likely(task.hash)
    }

    /// Brings a flow's memory near before its packet is processed.
    #[inline]
    pub fn touch(&self, number: u32) -> u64 {
        self.flows.touch(number)
    }

    /// Takes the next packet of this shard.
    #[inline]
    pub fn process(&mut self, task: &Task, frame: &[u8], events: &mut EventRun) {
        self.rest.counters.packets = self.rest.counters.packets.saturating_add(1);
        // Time: flows that are over end before the packet counts.
        self.advance(task.stream_time, events);
        // Flow: the packet is counted to its flow.
        let update = self.update(task, events);
        let Some(entry) = self.flows.entry_mut(update.number) else {
            return;
        };
        if update.opened {
            self.rest.opened(entry, task, events);
        }
        // Protocol and observe: does it show a name?
        if entry.flags.has(FlowFlags::INSPECTED) || entry.key.protocol() != TCP {
            return;
        }
        let payload = task.packet.payload(frame);
        if inspect(
            &mut self.handshakes,
            &mut self.rest,
            entry,
            update.direction,
            task,
            payload,
        ) == Seen::Name
        {
            // Attribute: whose name is it?
            self.rest
                .named(entry, self.handshakes.name().bytes(), task, frame, events);
        }
    }

    /// Ends what is due at `now`.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, events: &mut EventRun) {
        let now = Tick::of(now);
        if !self.flows.is_behind(now) {
            return;
        }
        let (rest, handshakes) = (&mut self.rest, &mut self.handshakes);
        self.flows.advance(now, &mut |entry, expired| {
            let key = EventKey {
                at: expired.at,
                seq: entry.first_seq(),
                ordinal: Ordinal::Ended,
            };
            rest.reported(handshakes, entry, expired.reason, key, events);
        });
    }

    /// The next tick at which something may be due.
    pub fn next_due(&self) -> Option<Tick> {
        self.flows.next_due()
    }

    /// Flows held, oldest first, with their numbers.
    pub fn flows_by_age(&self) -> Vec<(u64, u32)> {
        self.flows.numbers_by_age()
    }

    /// Ends a flow because the input did.
    pub fn end(&mut self, number: u32, events: &mut EventRun) {
        if let Some(entry) = self.flows.entry_mut(number) {
            let key = EventKey {
                at: Timestamp::MAX,
                seq: entry.first_seq(),
                ordinal: Ordinal::Ended,
            };
            let reason = if entry.flags.has(FlowFlags::CLOSED) {
                FlowEndReason::EndOfFlow
            } else {
                FlowEndReason::ForcedEnd
            };
            self.rest
                .reported(&mut self.handshakes, entry, reason, key, events);
            self.flows.remove(number);
        }
    }

    /// What this shard came to.
    pub fn counters(&self) -> ShardCounters {
        let mut counters = self.rest.counters.clone();
        counters.handshakes = self.handshakes.counters();
        counters.active_flows = self.flows.len() as u64;
        counters
    }

    #[inline]
    fn update(&mut self, task: &Task, events: &mut EventRun) -> Update {
        let (rest, handshakes) = (&mut self.rest, &mut self.handshakes);
        self.flows.update(
            &task.key,
            task.hash,
            task.sender,
            &task.packet,
            task.timestamp,
            task.stream_time,
            task.seq,
            &mut |entry, reason| {
                let key = EventKey {
                    at: task.stream_time,
                    seq: task.seq,
                    ordinal: Ordinal::Ended,
                };
                rest.reported(handshakes, entry, reason, key, events);
            },
        )
    }
}

/// Looks for a name in the packet; what the flow needs for that lies in its detail.
#[inline]
fn inspect(
    handshakes: &mut HandshakeReader,
    rest: &mut Keeping,
    entry: &mut FlowEntry,
    direction: Directed,
    task: &Task,
    payload: &[u8],
) -> Seen {
    let before = entry
        .detail()
        .and_then(|number| rest.details.get(number))
        .and_then(|detail| detail.handshake);
    let mut handshake = before;
    let seen = handshakes.packet(entry, &mut handshake, direction, &task.packet, payload);
    if handshake != before {
        rest.keep(entry, |detail| detail.handshake = handshake);
    }
    seen
}

impl Keeping {
    /// A flow opened: on which side of the border does it run, and where does it stand without a name?
    fn opened(&mut self, entry: &mut FlowEntry, task: &Task, events: &mut EventRun) {
        let locality = self
            .home
            .locality(&task.packet.ip.source, &task.packet.ip.destination);
        entry.set_locality(locality);
        entry.set_coverage(unnamed_coverage(entry));
        let event = FlowOpened {
            id: FlowId::of(&entry.key, entry.first_seq()),
            key: entry.key,
            locality,
            initiator: entry.initiator_endpoint(),
            responder: entry.responder_endpoint(),
            time: task.timestamp,
        };
        events.push_opened(
            EventKey {
                at: task.stream_time,
                seq: task.seq,
                ordinal: Ordinal::Opened,
            },
            event,
        );
    }

    /// A flow showed a name: keep it, judge it, and tell.
    fn named(
        &mut self,
        entry: &mut FlowEntry,
        name: &[u8],
        task: &Task,
        frame: &[u8],
        events: &mut EventRun,
    ) {
        let rules = &self.rules;
        let id = self.names.refer(name, |name| rules.match_name(name));
        let rule = if let Some(id) = id {
            self.names.value(id)
        } else {
            self.counters.refused_names = self.counters.refused_names.saturating_add(1);
            self.rules.match_name(name)
        };
        let ech_offered = entry.flags.has(FlowFlags::ECH_OFFERED);
        entry.set_coverage(match rule {
            Some(_) => Coverage::Attributed,
            None if ech_offered => Coverage::EchOffered,
            None => Coverage::NamedNotSecurity,
        });
        let sighting = Sighting {
            name: id,
            rule,
            seq: task.seq,
            frame_hash: xxh3_64(frame),
            time: task.timestamp,
            ech_offered,
        };
        self.keep(entry, |detail| detail.sighting = Some(sighting));
        let event = NameObserved {
            flow: FlowId::of(&entry.key, entry.first_seq()),
            protocol: entry.key.protocol(),
            key: entry.key,
            client: entry.initiator_endpoint(),
            server: entry.responder_endpoint(),
            locality: entry.locality(),
            evidence: sighting.evidence(name, events),
        };
        events.push_named(
            EventKey {
                at: task.stream_time,
                seq: task.seq,
                ordinal: Ordinal::Named,
            },
            event,
        );
    }

    /// A flow reports or ends.
    fn reported(
        &mut self,
        handshakes: &mut HandshakeReader,
        entry: &mut FlowEntry,
        reason: FlowEndReason,
        key: EventKey,
        events: &mut EventRun,
    ) {
        let last = reason != FlowEndReason::ActiveTimeout;
        let detail = entry
            .detail()
            .and_then(|number| self.details.get(number))
            .copied()
            .unwrap_or_default();
        let record = FlowRecord::of(entry, reason, &detail.reported);
        let evidence = detail.sighting.map(|sighting| {
            let name = sighting.name.map_or(&[][..], |id| self.names.name(id));
            sighting.evidence(name, events)
        });
        events.push_reported(
            key,
            FlowReported {
                record,
                evidence,
                last,
            },
        );
        if !last {
            self.keep(entry, |detail| detail.reported = record.total);
            return;
        }
        if let Some(number) = entry.detail() {
            handshakes.close(detail.handshake);
            if let Some(id) = detail.sighting.and_then(|sighting| sighting.name) {
                self.names.release(id);
            }
            self.details.give_back(number);
            entry.flags.clear(FlowFlags::HAS_DETAIL);
        }
    }

    /// Changes the flow's detail, a fresh one where it has none.
    fn keep(&mut self, entry: &mut FlowEntry, change: impl FnOnce(&mut Detail)) {
        let number = entry.detail().unwrap_or_else(|| {
            let number = self.details.take();
            if let Some(detail) = self.details.get_mut(number) {
                *detail = Detail::default();
            }
            entry.set_detail(number);
            number
        });
        if let Some(detail) = self.details.get_mut(number) {
            change(detail);
        }
    }
}

impl Sighting {
    fn evidence(&self, name: &[u8], events: &mut EventRun) -> Evidence {
        Evidence {
            kind: EvidenceKind::TlsSni,
            name: events.text(name),
            rule: self.rule,
            seq: self.seq,
            frame_hash: self.frame_hash,
            time: self.time,
            ech_offered: self.ech_offered,
        }
    }
}

/// The bucket of a flow that has shown nothing yet.
fn unnamed_coverage(entry: &FlowEntry) -> Coverage {
    /// IPv4 and IPv6 inside, GRE, ESP, AH, L2TP: packets inside packets, which are not unwrapped.
    const TUNNELS: [u8; 6] = [4, 41, 47, 50, 51, 115];
    match entry.key.protocol() {
        TCP if entry.flags.has(FlowFlags::MIDSTREAM) => Coverage::Midstream,
        TCP => Coverage::NoClientHello,
        protocol if TUNNELS.contains(&protocol) => Coverage::Tunnel,
        _ => Coverage::OtherProtocol,
    }
}
