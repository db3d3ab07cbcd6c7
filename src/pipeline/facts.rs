//! What the flows of a shard have shown: kept once, judged by the rules of its day, told to the ledger.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod judging;
mod proxies;
mod quic;
mod socks_target;

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::bucket::{named, silent_coverage};
use super::encrypted_dns::{Signs, settle};
use super::paths::PathPool;
use super::shard::{Readers, Task};
use super::{SHARDS, Settings, ShardCounters};
use crate::aggregate::{
    EventKey, EventRun, Evidence, FlowOpened, FlowReported, FrameRef, ListRef, MessageObserved,
    Ordinal, ServerSeen, TextRef,
};
use crate::attribute::{Resolvers, RuleMatch, Ruleset};
use crate::capture::RawPacket;
use crate::decode::{LinkSource, Packet, TCP, UDP};
use crate::flow::{
    Counters, Directed, FlowEndReason, FlowEntry, FlowFlags, FlowId, FlowRecord, HomeNetworks,
};
use crate::model::{AppProtocol, Coverage, EvidenceKind};
use crate::observe::{DnsReader, Message, NameId, NamePool, Opening, ServerPlace, Slab, TextKind};
use crate::protocol::http1::{Host, Request};
use crate::protocol::tls::Fingerprinter;

/// Facts that one flow keeps; a connection to a proxy may name hundreds of hosts, and the first ones say what it is.
const FACTS_MAX: u8 = 8;
/// Of these, programs and targets that no rule knows: they must not crowd out what comes later.
const MARKS_MAX: u8 = 4;

/// What is kept about flows beside the flow table.
#[derive(Debug)]
pub(super) struct FlowFacts {
    pub(super) details: Slab<Detail>,
    pub(super) sightings: Slab<Sighting>,
    pub(super) names: NamePool<Option<RuleMatch>>,
    pub(super) paths: PathPool,
    rules: Arc<Ruleset>,
    pub(super) resolvers: &'static Resolvers,
    home: Arc<HomeNetworks>,
    dated: bool,
    /// Whether anybody wants what hellos offer.
    pub(super) hello_details: bool,
    pub(super) fingerprinter: Fingerprinter,
    pub(super) scratch: String,
    pub counters: ShardCounters,
}

/// What only some flows need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detail {
    /// Place among the streams that are read.
    stream: Option<u32>,
    /// Place where its questions wait.
    pub questions: Option<u32>,
    /// Place where its QUIC hello waits for the rest of it.
    quic: Option<u32>,
    /// How its QUIC connection began.
    quic_opening: Opening,
    /// Where the reading of its server stands.
    pub(super) server_place: ServerPlace,
    /// What its server chose.
    pub(super) server: ServerSeen,
    /// Place where its hello of DTLS is put together.
    pub(super) dtls: Option<u32>,
    /// First and last of the facts it showed.
    pub(super) facts: Option<(u32, u32)>,
    facts_kept: u8,
    facts_left_out: u32,
    /// The client has asked for a tunnel: the server is a proxy.
    tunnelled: bool,
    /// What earlier records have said.
    reported: Counters,
}

/// A fact, the frame that completed it, and the next fact of the flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) kind: EvidenceKind,
    /// `None` where the pool had no room.
    pub(super) name: Option<NameId>,
    pub(super) rule: Option<RuleMatch>,
    pub(super) frame: FrameRef,
    pub(super) ech_offered: bool,
    pub(super) ambiguous: bool,
    /// It was read inside TLS, with a secret that was given.
    pub(super) decrypted: bool,
    pub(super) next: Option<u32>,
}

impl Default for Sighting {
    fn default() -> Self {
        Self {
            kind: EvidenceKind::TlsSni,
            name: None,
            rule: None,
            frame: FrameRef::default(),
            ech_offered: false,
            ambiguous: false,
            decrypted: false,
            next: None,
        }
    }
}

/// A packet whose messages are being told.
pub(super) struct Telling<'a> {
    pub facts: &'a mut FlowFacts,
    pub dns: &'a mut DnsReader,
    pub events: &'a mut EventRun,
    pub(super) task: &'a Task,
    frame_bytes: &'a [u8],
    frame: Option<FrameRef>,
    pub(super) part: u16,
    quic_version: Option<u32>,
    /// What is being told was read inside TLS, with a secret that was given.
    pub(super) decrypted: Option<AppProtocol>,
}

impl<'a> Telling<'a> {
    /// Begins to tell of a packet.
    #[inline]
    pub fn of(
        task: &'a Task,
        frame_bytes: &'a [u8],
        facts: &'a mut FlowFacts,
        dns: &'a mut DnsReader,
        events: &'a mut EventRun,
    ) -> Self {
        Self {
            facts,
            dns,
            events,
            task,
            frame_bytes,
            frame: None,
            part: 0,
            quic_version: None,
            decrypted: None,
        }
    }

    /// The flow's place among the streams that are read.
    #[inline]
    pub fn stream_place(&self, entry: &FlowEntry) -> Option<u32> {
        self.facts.detail(entry).and_then(|detail| detail.stream)
    }

    /// Keeps the flow's place among the streams that are read.
    pub fn keep_stream_place(&mut self, entry: &mut FlowEntry, place: Option<u32>) {
        self.facts.keep(entry, |detail| detail.stream = place);
    }

    /// Judges, keeps and tells what a message shows.
    pub fn message(&mut self, entry: &mut FlowEntry, message: Message<'_>) {
        match message {
            Message::Hello(hello) => self.hello(entry, hello),
            Message::Server(flight, certificate) => self.server(entry, flight, certificate),
            Message::Request(request) => self.request(entry, request),
            Message::Decrypted(inside, request) => {
                self.decrypted = Some(inside.app_protocol());
                self.request(entry, request);
                self.decrypted = None;
            }
            Message::DecryptedServer(hello, certificate) => {
                self.decrypted = Some(AppProtocol::Tls);
                let resumed = false;
                let version = hello.version;
                let seen = ServerSeen { version, resumed };
                self.certificate(entry, hello.alpn(), certificate, seen);
                self.decrypted = None;
            }
            Message::Socks(request) => self.socks(entry, request),
            Message::Dns(direction, bytes) => {
                self.dns_message(entry, direction, AppProtocol::Dns, bytes);
            }
        }
    }

    fn request(&mut self, entry: &mut FlowEntry, request: &Request<'_>) {
        let first = self.events.facts_begin();
        let day = self.task.timestamp;
        let (kind, host) = if request.is_connect() {
            self.facts.keep(entry, |detail| detail.tunnelled = true);
            (EvidenceKind::HttpConnect, request.host())
        } else {
            (EvidenceKind::HttpHost, request.host())
        };
        let signs = match host {
            Host::Name(name) if request.is_connect() => Signs {
                name: Some(name),
                ..Signs::default()
            },
            _ => Signs {
                target: Some(request.path_and_query()),
                ..Signs::default()
            },
        };
        signs.note(entry, self.facts.resolvers);
        match host {
            Host::Name(name) => {
                let (id, rule) = self.facts.judge_host(name, day);
                named(
                    entry,
                    match rule {
                        Some(_) => Coverage::Attributed,
                        None => Coverage::NamedNotSecurity,
                    },
                );
                self.fact(entry, kind, id, rule, name);
            }
            Host::Address(text) => {
                named(
                    entry,
                    if request.is_connect() {
                        Coverage::Proxied
                    } else {
                        Coverage::SniIsAddress
                    },
                );
                let id = self.facts.names.refer(TextKind::Host, text, |_| None);
                self.fact(entry, kind, id, None, text);
            }
            Host::Absent => named(entry, Coverage::HostAbsent),
        }
        if let Some(program) = request.user_agent {
            let (id, rule) = self.facts.judge_program(program, day);
            if rule.is_some() {
                named(entry, Coverage::Attributed);
            }
            self.fact(entry, EvidenceKind::HttpUserAgent, id, rule, program);
        }
        if !request.is_connect() {
            let target = request.path_and_query();
            let rule = self.facts.judge_target(target, day);
            if rule.is_some() {
                named(entry, Coverage::Attributed);
            }
            let id = self.facts.names.refer(TextKind::Uri, target, |_| rule);
            self.fact(entry, EvidenceKind::HttpUri, id, rule, target);
        }
        let method = self.events.keep_text(request.method);
        let target = self.events.keep_text(request.target);
        let protocol = match self.decrypted.or(entry.app_protocol()) {
            Some(AppProtocol::Http2) => AppProtocol::Http2,
            _ => AppProtocol::Http,
        };
        self.observed(entry, protocol, [method, target], first);
    }

    /// Tells a fact, and keeps it with the flow.
    fn fact(
        &mut self,
        entry: &mut FlowEntry,
        kind: EvidenceKind,
        name: Option<NameId>,
        rule: Option<RuleMatch>,
        text: &[u8],
    ) {
        let sighting = Sighting {
            kind,
            name,
            rule,
            frame: self.frame(),
            ech_offered: false,
            ambiguous: false,
            decrypted: self.decrypted.is_some(),
            next: None,
        };
        let text = self.events.keep_text(text);
        self.events.push_fact(sighting.evidence(text));
        self.facts.sight(entry, sighting);
    }

    fn observed(
        &mut self,
        entry: &FlowEntry,
        app_protocol: AppProtocol,
        texts: [TextRef; 2],
        first_fact: u32,
    ) {
        self.observed_with(entry, app_protocol, texts, first_fact, ListRef::default());
    }

    /// Tells what a message showed: the facts since `first_fact`, and what else TLS said.
    pub(super) fn observed_with(
        &mut self,
        entry: &FlowEntry,
        app_protocol: AppProtocol,
        [method, target]: [TextRef; 2],
        first_fact: u32,
        tls: ListRef,
    ) {
        let detail = self.facts.detail(entry).unwrap_or_default();
        let ends = (entry.initiator_endpoint(), entry.responder_endpoint());
        let (client, server) = if entry.flags.has(FlowFlags::ROLES_TURNED) {
            (ends.1, ends.0)
        } else {
            ends
        };
        let event = MessageObserved {
            flow: FlowId::of(&entry.key, entry.first_seq()),
            first_seq: entry.first_seq(),
            key: entry.key,
            client,
            server,
            locality: entry.locality(),
            tunnel: self.facts.paths.path(entry.tunnel),
            app_protocol,
            tunnelled: detail.tunnelled,
            quic_version: self.quic_version,
            decrypted: self.decrypted.is_some(),
            method,
            target,
            facts: self.events.facts_since(first_fact),
            tls,
            time: self.task.timestamp,
        };
        let key = self.next_key();
        self.events.push_observed(key, event);
    }

    /// The key of the next event that the packet makes.
    pub(super) fn next_key(&mut self) -> EventKey {
        let key = EventKey {
            at: self.task.stream_time,
            seq: self.task.seq,
            ordinal: Ordinal::Shown,
            part: self.part,
        };
        self.part = self.part.saturating_add(1);
        key
    }

    /// Who put the frame on its segment.
    pub(super) fn link_source(&self) -> LinkSource {
        link_source(self.task, self.frame_bytes)
    }

    /// The frame, hashed when something in it is first told.
    pub(super) fn frame(&mut self) -> FrameRef {
        let (task, bytes) = (self.task, self.frame_bytes);
        *self.frame.get_or_insert_with(|| FrameRef {
            seq: task.seq,
            hash: xxh3_64(bytes),
            time: task.timestamp,
        })
    }
}

/// Who put the packet on its segment, as far as its frame tells.
fn link_source(task: &Task, frame: &[u8]) -> LinkSource {
    let raw = RawPacket {
        timestamp: task.timestamp,
        link_type: task.link_type,
        wire_len: task.captured_len,
        data: frame,
    };
    LinkSource::of(&raw, &task.packet.ip.source)
}

impl FlowFacts {
    /// Nothing shown yet; room by the settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            details: Slab::default(),
            sightings: Slab::default(),
            names: NamePool::new(
                settings.names_max.div_ceil(SHARDS).max(1),
                settings.hash_seed,
            ),
            paths: PathPool::default(),
            dated: settings.rules.has_dated_rules(),
            rules: Arc::clone(&settings.rules),
            resolvers: Resolvers::builtin(),
            home: Arc::clone(&settings.home),
            hello_details: settings.hello_details,
            fingerprinter: Fingerprinter::default(),
            scratch: String::new(),
            counters: ShardCounters::default(),
        }
    }

    /// What is around a packet in a tunnel runs where the packet runs, and belongs to no flow.
    #[cold]
    pub fn wrapped(&mut self, packet: &Packet) {
        self.counters.tunnel_overhead.add_outside(
            &self.home,
            &packet.ip.source,
            &packet.ip.destination,
            (u64::from(packet.overhead), 0),
            Coverage::TunnelOverhead,
        );
    }

    /// A flow opened: on which side of the border does it run, and where does it stand while it shows nothing?
    pub fn opened(
        &mut self,
        entry: &mut FlowEntry,
        task: &Task,
        frame: &[u8],
        events: &mut EventRun,
    ) {
        let path = task.packet.tunnel;
        if !path.is_empty() {
            let kept = self.paths.keep(path);
            entry.tunnel = kept.unwrap_or_default();
            let refused = u64::from(kept.is_none());
            self.counters.refused_paths = self.counters.refused_paths.saturating_add(refused);
        }
        let locality = self
            .home
            .locality(&task.packet.ip.source, &task.packet.ip.destination);
        entry.set_locality(locality);
        entry.set_coverage(silent_coverage(entry));
        if !matches!(entry.key.protocol(), TCP | UDP) {
            entry.flags.set(FlowFlags::INSPECTED);
        }
        let event = FlowOpened {
            id: FlowId::of(&entry.key, entry.first_seq()),
            key: entry.key,
            initiator: entry.initiator_endpoint(),
            responder: entry.responder_endpoint(),
            locality,
            frame: FrameRef {
                seq: task.seq,
                hash: xxh3_64(frame),
                time: task.timestamp,
            },
            direction: if entry.initiator() == task.sender {
                Directed::FromInitiator
            } else {
                Directed::FromResponder
            },
            source: link_source(task, frame),
        };
        let key = EventKey {
            at: task.stream_time,
            seq: task.seq,
            ordinal: Ordinal::Opened,
            part: 0,
        };
        events.push_opened(key, event);
    }

    /// A flow reports or ends.
    pub fn reported(
        &mut self,
        readers: &mut Readers,
        entry: &mut FlowEntry,
        reason: FlowEndReason,
        key: EventKey,
        events: &mut EventRun,
    ) {
        settle(entry, self.resolvers);
        let last = reason != FlowEndReason::ActiveTimeout;
        if last {
            self.count_ways(entry);
        }
        let detail = self.detail(entry).unwrap_or_default();
        if last {
            let mut part = 0u16;
            let protocol = entry.app_protocol().unwrap_or(AppProtocol::Dns);
            readers.dns.close(detail.questions, &mut |transaction| {
                let key = EventKey {
                    ordinal: Ordinal::Unfinished,
                    part,
                    ..key
                };
                part = part.saturating_add(1);
                self.transaction(entry, protocol, transaction, key, events);
            });
        }
        let first = events.facts_begin();
        let mut at = detail.facts.map(|(first, _)| first);
        while let Some(sighting) = at.and_then(|at| self.sightings.get(at)).copied() {
            let name = sighting.name.map_or(&[][..], |id| self.names.name(id));
            let text = events.keep_text(name);
            events.push_fact(sighting.evidence(text));
            at = sighting.next;
        }
        let record = FlowRecord::of(entry, reason, &detail.reported);
        let facts = events.facts_since(first);
        events.push_reported(
            key,
            FlowReported {
                record,
                tunnel: self.paths.path(entry.tunnel),
                facts,
                facts_left_out: detail.facts_left_out,
                server: detail.server,
                last,
            },
        );
        if !last {
            self.keep(entry, |detail| detail.reported = record.total);
        } else if let Some(number) = entry.detail() {
            readers.streams.close(detail.stream);
            readers.quic.close(detail.quic);
            readers.servers.close(detail.server_place);
            readers.dtls.close(detail.dtls);
            self.forget(&detail);
            self.details.give_back(number);
            entry.flags.clear(FlowFlags::HAS_DETAIL);
        }
    }

    /// Counts a connection that is over by whether both of its sides came by. One that nobody answered has no payload.
    fn count_ways(&mut self, entry: &FlowEntry) {
        let has_payload = entry.flags.has(FlowFlags::INITIATOR_PAYLOAD)
            || entry.flags.has(FlowFlags::RESPONDER_PAYLOAD);
        if entry.key.protocol() != TCP || !has_payload {
            return;
        }
        let counter = if entry.counters().packets.contains(&0) {
            &mut self.counters.tcp_one_way
        } else {
            &mut self.counters.tcp_two_way
        };
        *counter = counter.saturating_add(1);
    }

    #[inline]
    pub(super) fn detail(&self, entry: &FlowEntry) -> Option<Detail> {
        self.details.get(entry.detail()?).copied()
    }

    /// Changes the flow's detail, a fresh one where it has none.
    pub(super) fn keep(&mut self, entry: &mut FlowEntry, change: impl FnOnce(&mut Detail)) {
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

    /// Keeps a fact of the flow, once.
    pub(super) fn sight(&mut self, entry: &mut FlowEntry, sighting: Sighting) {
        let detail = self.detail(entry).unwrap_or_default();
        let mut at = detail.facts.map(|(first, _)| first);
        let (mut known, mut unknown) = (false, None);
        while let Some(other) = at.and_then(|at| self.sightings.get(at)) {
            known |= other.kind == sighting.kind
                && other.name == sighting.name
                && sighting.name.is_some();
            if other.rule.is_none() {
                unknown = at;
            }
            at = other.next;
        }
        let is_mark = sighting.rule.is_none()
            && matches!(
                sighting.kind,
                EvidenceKind::HttpUserAgent | EvidenceKind::HttpUri
            );
        let most = if is_mark { MARKS_MAX } else { FACTS_MAX };
        if known || detail.facts_kept >= most {
            // What a rule knows takes the place of the latest that none knows: a proxy may be asked for many others first.
            let place = unknown
                .filter(|_| !known && sighting.rule.is_some())
                .and_then(|place| self.sightings.get_mut(place));
            let dropped = match place {
                Some(place) => {
                    let next = place.next;
                    std::mem::replace(place, Sighting { next, ..sighting }).name
                }
                None => sighting.name,
            };
            if let Some(name) = dropped {
                self.names.release(name);
            }
            if !known {
                self.counters.facts_left_out = self.counters.facts_left_out.saturating_add(1);
                self.keep(entry, |detail| {
                    detail.facts_left_out = detail.facts_left_out.saturating_add(1);
                });
            }
            return;
        }
        let number = self.sightings.take();
        if let Some(slot) = self.sightings.get_mut(number) {
            *slot = sighting;
        }
        let last = detail.facts.map(|(_, last)| last);
        if let Some(last) = last.and_then(|last| self.sightings.get_mut(last)) {
            last.next = Some(number);
        }
        self.keep(entry, |detail| {
            detail.facts = Some((detail.facts.map_or(number, |(first, _)| first), number));
            detail.facts_kept = detail.facts_kept.saturating_add(1);
        });
    }

    /// The flow is over: gives back what its facts hold.
    fn forget(&mut self, detail: &Detail) {
        let mut at = detail.facts.map(|(first, _)| first);
        while let Some(number) = at {
            let Some(sighting) = self.sightings.get(number).copied() else {
                break;
            };
            if let Some(name) = sighting.name {
                self.names.release(name);
            }
            self.sightings.give_back(number);
            at = sighting.next;
        }
    }
}

impl Sighting {
    pub(super) fn evidence(&self, text: TextRef) -> Evidence {
        Evidence {
            kind: self.kind,
            text,
            rule: self.rule,
            frame: self.frame,
            ech_offered: self.ech_offered,
            ambiguous: self.ambiguous,
            decrypted: self.decrypted,
        }
    }
}
