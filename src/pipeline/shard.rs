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

use super::facts::{FlowFacts, Telling};
use super::{SHARDS, Settings, ShardCounters};
use crate::aggregate::{EventKey, EventRun, Ordinal};
use crate::capture::LinkType;
use crate::decode::{Packet, TCP, UDP};
use crate::flow::{
    Acknowledged, Directed, DuplicateLimits, DuplicateWindow, FlowEndReason, FlowEntry, FlowFlags,
    FlowKey, FlowTable, LossProbe, Side, Update, fingerprint,
};
use crate::model::{AppProtocol, Coverage, Tick, Timestamp};
use crate::observe::{
    Datagram, DnsReader, DtlsLimits, DtlsReader, HandshakeLimits, QuestionLimits, QuicLimits,
    QuicReader, ServerLimits, ServerReader, StreamReader, coverage_of, may_begin_another,
    may_turn_to_tls, unrecognised,
};
use crate::protocol::decrypt::KeyStore;
use crate::protocol::recognise::{Transport, recognise};

/// Datagrams of a flow that are looked at for what protocol it is.
const DATAGRAM_LOOKS_MAX: u8 = 4;

/// A decoded packet on its way to its shard.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What was decoded.
    pub packet: Packet,
    /// Which end of its flow's key sent it.
    pub sender: Side,
    /// Keyed hash of the key.
    pub hash: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Running maximum of timestamps.
    pub stream_time: Timestamp,
    /// Position in the input.
    pub seq: u64,
    /// Where it was captured.
    pub scope: u16,
    /// What the frame begins with.
    pub link_type: LinkType,
    /// The packet was put together from fragments: its payload lies beside the frames, and the frame is the one that came last.
    pub in_datagram: bool,
    /// Captured bytes.
    pub captured_len: u32,
    /// Where they begin in the storage of the batch.
    pub offset: u64,
}

impl Task {
    /// Its flow's key.
    #[inline]
    pub fn key(&self) -> FlowKey {
        FlowKey::sent_by(self.sender, &self.packet, self.scope)
    }

    /// Which shard it is for: bits of the hash that the flow table's index does not use.
    #[inline]
    pub const fn shard(&self) -> usize {
        (self.hash >> 26) as usize % SHARDS
    }

    /// The frame that the packet was decoded from.
    #[inline]
    pub fn frame<'a>(&self, storage: &'a [u8]) -> &'a [u8] {
        let start = self.offset as usize;
        storage
            .get(start..start.saturating_add(self.captured_len as usize))
            .unwrap_or_default()
    }

    /// The payload, in the frame or among the datagrams put together for the batch.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8], datagrams: &'a [u8]) -> &'a [u8] {
        let bytes = if self.in_datagram { datagrams } else { frame };
        self.packet.payload(bytes)
    }

    /// Moves the payload of a packet put together to the datagrams of a batch.
    pub fn move_to(&mut self, datagrams: &mut Vec<u8>, bytes: &[u8]) {
        let at = u32::try_from(datagrams.len()).unwrap_or(u32::MAX);
        datagrams.extend_from_slice(self.packet.payload(bytes));
        self.packet.payload_offset = at;
    }
}

/// The flows of one virtual shard and all that is kept about them.
#[derive(Debug)]
pub struct Shard {
    duplicates: DuplicateWindow,
    flows: FlowTable,
    loss: LossProbe,
    readers: Readers,
    facts: FlowFacts,
}

/// What reads payload, by what carries it.
#[derive(Debug)]
pub(super) struct Readers {
    pub streams: StreamReader,
    pub servers: ServerReader,
    pub dtls: DtlsReader,
    pub dns: DnsReader,
    pub quic: QuicReader,
}

impl Shard {
    /// A shard with its part of the limits.
    pub fn new(settings: &Settings) -> Self {
        let part = |whole: usize| whole.div_ceil(SHARDS).max(1);
        let limits = HandshakeLimits {
            handshakes_max: part(settings.handshakes_max),
            bytes_max: part(settings.handshake_bytes_max),
            stream: settings.stream,
            sessions_max: part(settings.decrypt.sessions_max),
        };
        let servers = ServerLimits {
            handshakes_max: part(settings.tls.servers_max),
            bytes_max: part(settings.tls.server_bytes_max),
            stream: settings.stream,
        };
        let dtls = DtlsLimits {
            hellos_max: part(settings.tls.dtls_hellos_max),
            bytes_max: part(settings.tls.dtls_bytes_max),
        };
        let questions = QuestionLimits {
            pending_max: part(settings.dns.pending_max),
            pending_per_flow_max: settings.dns.pending_per_flow_max,
            timeout: settings.dns.transaction_timeout,
        };
        let duplicates = DuplicateLimits {
            packets_max: part(settings.mirror.duplicates.packets_max),
            ..settings.mirror.duplicates
        };
        let quic = QuicLimits {
            hellos_max: part(settings.quic.hellos_max),
            bytes_max: part(settings.quic.hello_bytes_max),
            initials_per_flow_max: settings.quic.initials_per_flow_max,
        };
        let mut streams = StreamReader::new(limits);
        streams.know(&settings.decrypt.keys);
        Self {
            duplicates: DuplicateWindow::new(duplicates),
            loss: LossProbe::new(part(settings.mirror.followed_max)),
            flows: FlowTable::new(
                part(settings.flows_max),
                settings.hash_seed,
                settings.timeouts,
            ),
            readers: Readers {
                streams,
                dns: DnsReader::new(questions),
                servers: ServerReader::new(servers),
                dtls: DtlsReader::new(dtls),
                quic: QuicReader::new(quic),
            },
            facts: FlowFacts::new(settings),
        }
    }

    /// The number that a packet's flow most likely has; a hint for [`Self::touch`].
    #[inline]
    pub fn likely(&self, task: &Task) -> u32 {
        self.flows.likely(task.hash)
    }

    /// By what copies of the packet are told, where they are looked for.
    #[inline]
    pub fn print<'a>(&self, task: &Task, payload: impl FnOnce() -> &'a [u8]) -> u64 {
        if !self.duplicates.is_open() {
            return 0;
        }
        fingerprint(task.hash, task.sender, &task.packet, payload)
    }

    /// Brings what a packet needs near before it is processed: its flow, the packets like it, and its connection.
    #[inline]
    pub fn touch(&self, task: &Task, number: u32, print: u64) -> u64 {
        self.flows.touch(number) ^ self.duplicates.touch(print) ^ self.loss.touch(task.hash)
    }

    /// Takes the next packet of this shard, which came in `frame`; `print` is what [`Self::print`] gave for it.
    #[inline]
    pub fn process(
        &mut self,
        task: &Task,
        print: u64,
        frame: &[u8],
        payload: &[u8],
        events: &mut EventRun,
    ) {
        self.facts.counters.packets = self.facts.counters.packets.saturating_add(1);
        // Time: flows that are over end before the packet counts.
        self.advance(task.stream_time, events);
        // A mirror port may give every packet twice: the copy counts nowhere.
        if self.duplicates.is_copy(print, &task.packet, task.timestamp) {
            return;
        }
        if task.packet.overhead > 0 {
            self.facts.wrapped(&task.packet);
        }
        // Flow: the packet is counted to its flow, unless it begins another between the same ports.
        if task.packet.ip.protocol == UDP && may_begin_another(payload) {
            self.end_before_another(task, payload, events);
        }
        let update = self.update(task, events);
        let Some(entry) = self.flows.entry_mut(update.number) else {
            return;
        };
        if update.opened {
            self.facts.opened(entry, task, frame, events);
        }
        self.loss.packet(&Acknowledged {
            flow: task.hash,
            first_seq: entry.first_seq(),
            flags: entry.flags,
            packets: entry.packets(),
            direction: update.direction,
            packet: &task.packet,
            time: task.stream_time,
        });
        let read =
            entry.flags.has(FlowFlags::INSPECTED) && !entry.flags.has(FlowFlags::SERVER_WANTED);
        if read || task.packet.payload_wire_len == 0 {
            return;
        }
        // Protocol and observe: what does it show? Attribute: whose is it? The ledger is told.
        let direction = update.direction;
        let mut telling = Telling::of(task, frame, &mut self.facts, &mut self.readers.dns, events);
        match entry.key.protocol() {
            TCP => read_segment(
                &mut self.readers.streams,
                &mut self.readers.servers,
                &mut telling,
                entry,
                direction,
                task,
                payload,
            ),
            UDP => read_datagram(
                &mut self.readers.quic,
                &mut self.readers.dtls,
                &mut telling,
                entry,
                direction,
                &task.packet,
                payload,
            ),
            _ => {}
        }
    }

    /// Ends what is due at `now`.
    #[inline]
    pub fn advance(&mut self, now: Timestamp, events: &mut EventRun) {
        let now = Tick::of(now);
        if !self.flows.is_behind(now) {
            return;
        }
        let (facts, readers) = (&mut self.facts, &mut self.readers);
        self.flows.advance(now, &mut |entry, expired| {
            let key = EventKey {
                at: expired.at,
                seq: entry.first_seq(),
                ordinal: Ordinal::Ended,
                part: 0,
            };
            facts.reported(readers, entry, expired.reason, key, events);
        });
    }

    /// From here on these secrets are known.
    pub fn know(&mut self, keys: &Arc<KeyStore>) {
        self.readers.streams.know(keys);
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
                part: 0,
            };
            let reason = if entry.flags.has(FlowFlags::CLOSED) {
                FlowEndReason::EndOfFlow
            } else {
                FlowEndReason::ForcedEnd
            };
            self.facts
                .reported(&mut self.readers, entry, reason, key, events);
            self.flows.remove(number);
        }
    }

    /// What this shard came to.
    pub fn counters(&self) -> ShardCounters {
        let mut counters = self.facts.counters.clone();
        counters.duplicates = self.duplicates.counters();
        counters.loss = self.loss.counters();
        counters.handshakes = self.readers.streams.counters();
        counters.decrypt = self.readers.streams.decrypt_counters();
        counters.dns = self.readers.dns.counters();
        counters.quic = self.readers.quic.counters();
        counters.servers = self.readers.servers.counters();
        counters.dtls = self.readers.dtls.counters();
        counters.active_flows = self.flows.len() as u64;
        counters
    }

    /// A client may open one QUIC connection after another from the same port, as it may with TCP, and no packet in clear says
    /// that one is over: its flow ends where the next begins.
    #[cold]
    fn end_before_another(&mut self, task: &Task, payload: &[u8], events: &mut EventRun) {
        let Some(number) = self.flows.find(&task.key(), task.hash) else {
            return;
        };
        let Some(entry) = self.flows.entry_mut(number) else {
            return;
        };
        if !matches!(entry.app_protocol(), None | Some(AppProtocol::Quic)) {
            return;
        }
        let (facts, quic) = (&mut self.facts, &mut self.readers.quic);
        if !facts.another_begins(quic, entry, task.sender, payload) {
            return;
        }
        let key = EventKey {
            at: task.stream_time,
            seq: task.seq,
            ordinal: Ordinal::Ended,
            part: 0,
        };
        let reason = FlowEndReason::EndOfFlow;
        facts.reported(&mut self.readers, entry, reason, key, events);
        self.flows.remove(number);
    }

    #[inline]
    fn update(&mut self, task: &Task, events: &mut EventRun) -> Update {
        let (facts, readers) = (&mut self.facts, &mut self.readers);
        self.flows.update(
            &task.key(),
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
                    part: 0,
                };
                facts.reported(readers, entry, reason, key, events);
            },
        )
    }
}

/// A segment of TCP: what its stream completes is told.
#[inline]
fn read_segment(
    streams: &mut StreamReader,
    servers: &mut ServerReader,
    telling: &mut Telling<'_>,
    entry: &mut FlowEntry,
    direction: Directed,
    task: &Task,
    payload: &[u8],
) {
    if ServerReader::wants(entry, direction, payload) {
        telling.read_server(servers, entry, direction, task, payload);
    }
    if entry.flags.has(FlowFlags::INSPECTED) {
        return;
    }
    let before = telling.stream_place(entry);
    let mut place = before;
    streams.packet(
        entry,
        &mut place,
        direction,
        &task.packet,
        task.stream_time,
        payload,
        &mut |entry, message| telling.message(entry, message),
    );
    if place != before {
        telling.keep_stream_place(entry, place);
    }
    if entry.flags.has(FlowFlags::INSPECTED) && entry.app_protocol().is_some_and(may_turn_to_tls) {
        // Nothing more is read of the client; the server may still show whose it is.
        entry.flags.set(FlowFlags::SERVER_WANTED);
        entry.looked_at = 0;
    }
    if entry.flags.has(FlowFlags::SERVER_WANTED) && direction == Directed::FromInitiator {
        telling.expect_server(entry, &task.packet.tcp);
    }
}

/// A datagram: name services and QUIC are read, what else is recognised is named.
#[inline]
fn read_datagram(
    quic: &mut QuicReader,
    dtls: &mut DtlsReader,
    telling: &mut Telling<'_>,
    entry: &mut FlowEntry,
    direction: Directed,
    packet: &Packet,
    payload: &[u8],
) {
    let known = entry.app_protocol().or_else(|| {
        let (source, destination) = (packet.source_port, packet.destination_port);
        let found = recognise(Transport::Udp, source, destination, payload)
            .or_else(|| quic.is_unannounced(payload).then_some(AppProtocol::Quic));
        if let Some(protocol) = found {
            entry.set_app_protocol(protocol);
            entry.set_coverage(coverage_of(protocol));
            return found;
        }
        // One random datagram is enough; keep-alives between them are too short to look so.
        if entry.coverage() != Coverage::OpaquePayload {
            entry.set_coverage(unrecognised(payload));
        }
        entry.looked_at = entry.looked_at.saturating_add(1);
        if entry.looked_at >= DATAGRAM_LOOKS_MAX {
            entry.flags.set(FlowFlags::INSPECTED);
        }
        found
    });
    match known {
        Some(protocol @ (AppProtocol::Dns | AppProtocol::Mdns | AppProtocol::Llmnr)) => {
            telling.dns_message(entry, direction, protocol, payload);
        }
        Some(AppProtocol::Nbns) => telling.nbns_message(entry, direction, payload),
        Some(protocol @ (AppProtocol::Dhcp | AppProtocol::Dhcpv6)) => {
            telling.dhcp_message(entry, direction, protocol, payload);
        }
        Some(AppProtocol::Quic) => {
            let cut = packet.payload_len < packet.payload_wire_len;
            let datagram = Datagram {
                direction,
                payload,
                cut,
            };
            telling.quic_datagram(quic, entry, &datagram);
        }
        Some(AppProtocol::Dtls) => telling.read_dtls(dtls, entry, direction, payload),
        Some(_) => entry.flags.set(FlowFlags::INSPECTED),
        None => {}
    }
}
