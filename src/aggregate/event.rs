//! What shards tell the ledger, and the total order in which it hears of it.

use super::{HostFact, ServerSeen, TlsSeen};
use crate::attribute::RuleMatch;
use crate::decode::{Address, LinkSource, TunnelPath};
use crate::flow::{Directed, Endpoint, FlowId, FlowKey, FlowRecord};
use crate::model::{AppProtocol, DnsOutcome, EvidenceKind, Locality, Timestamp};

/// Tells apart what one packet or one deadline causes: what a flow leaves unfinished is told before it ends, a flow that gives
/// way ends before the new one opens, and a flow opens before it shows anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ordinal {
    /// A question that nobody answered before its flow ended.
    Unfinished,
    /// A record caused by time, or by a packet that took the flow's place.
    Ended,
    /// A flow opened.
    Opened,
    /// A message showed something.
    Shown,
}

/// Where an event stands among all events: unique, and independent of workers, batches and sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// Stream time of the packet, or the deadline that passed.
    pub at: Timestamp,
    /// `seq` of the packet, or of the first packet of the flow whose deadline passed.
    pub seq: u64,
    /// What of it.
    pub ordinal: Ordinal,
    /// Which of several: a packet may complete more than one message.
    pub part: u16,
}

/// A flow opened.
#[derive(Clone, Copy, Debug)]
pub struct FlowOpened {
    /// Names the flow.
    pub id: FlowId,
    /// Both ends and the protocol.
    pub key: FlowKey,
    /// The end that began, as far as its first packet tells.
    pub initiator: Endpoint,
    /// The end that answered.
    pub responder: Endpoint,
    /// On which side of the border it runs.
    pub locality: Locality,
    /// Its first frame.
    pub frame: FrameRef,
    /// Which way its first packet went.
    pub direction: Directed,
    /// Who put that on the segment.
    pub source: LinkSource,
}

impl FlowOpened {
    /// The end that sent the first packet: what is known of the segment is about it.
    pub const fn sender(&self) -> Endpoint {
        match self.direction {
            Directed::FromInitiator => self.initiator,
            Directed::FromResponder => self.responder,
        }
    }
}

/// Bytes in the text of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRef {
    offset: u32,
    len: u32,
}

impl TextRef {
    /// Whether there are no bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Items in one of the lists of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListRef {
    first: u32,
    count: u32,
}

/// A frame that showed something, enough to find it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameRef {
    /// Position in the whole input.
    pub seq: u64,
    /// XXH3-64 of its captured bytes, as `xxhsum -H3` prints it.
    pub hash: u64,
    /// Its timestamp.
    pub time: Timestamp,
}

/// One fact about a flow: a name or a mark, what the rules make of it, and the frame that completed it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name or mark, in the text of the run.
    pub text: TextRef,
    /// What the rules make of it.
    pub rule: Option<RuleMatch>,
    /// The frame that completed the message.
    pub frame: FrameRef,
    /// Encrypted ClientHello was offered with the name.
    pub ech_offered: bool,
    /// Another name with another verdict may be meant as well.
    pub ambiguous: bool,
    /// It was read inside TLS, with a secret that was given.
    pub decrypted: bool,
}

/// A message showed facts: the server name of a hello; host, target and program of a request; the names in a certificate.
#[derive(Clone, Copy, Debug)]
pub struct MessageObserved {
    /// Names the flow.
    pub flow: FlowId,
    /// Position of its first packet.
    pub first_seq: u64,
    /// Both ends and the protocol, for the Community ID.
    pub key: FlowKey,
    /// The client.
    pub client: Endpoint,
    /// The server, which certificates come from.
    pub server: Endpoint,
    /// On which side of the border the flow runs.
    pub locality: Locality,
    /// What lay around the flow's first packet.
    pub tunnel: TunnelPath,
    /// What kind of message.
    pub app_protocol: AppProtocol,
    /// It asks for a tunnel, or comes through one: the server is a proxy.
    pub tunnelled: bool,
    /// Version of QUIC, where it is that.
    pub quic_version: Option<u32>,
    /// It was read inside TLS, with a secret that was given.
    pub decrypted: bool,
    /// Method of an HTTP request, command of a SOCKS request.
    pub method: TextRef,
    /// Target of an HTTP request, as on the wire; host and port of a SOCKS request.
    pub target: TextRef,
    /// What it showed, in the run's list of facts.
    pub facts: ListRef,
    /// What else TLS said, one or none in the run's list.
    pub tls: ListRef,
    /// Time of the frame that completed it.
    pub time: Timestamp,
}

/// What an answer says about one name.
#[derive(Clone, Copy, Debug)]
pub struct DnsRecord {
    /// The owner of the record.
    pub name: TextRef,
    /// Type of the record (RFC 1035 §3.2.2).
    pub kind: u16,
    /// Seconds for which the record may be kept.
    pub ttl_seconds: u32,
    /// What it holds.
    pub data: DnsData,
}

/// Content of a record, as far as it is of use.
#[derive(Clone, Copy, Debug)]
pub enum DnsData {
    /// An address, IPv4 mapped.
    Address(Address),
    /// Another name.
    Name(TextRef),
    /// SVCB or HTTPS (RFC 9460): where the name is served, and how.
    Service {
        /// 0: an alias; otherwise the lower the earlier.
        priority: u16,
        /// The name that serves it; the owner where the record says so.
        target: TextRef,
        /// Addresses given along, in the run's list of addresses.
        hints: ListRef,
        /// Protocols, with commas between.
        alpn: TextRef,
        /// A configuration for Encrypted ClientHello was given.
        ech: bool,
    },
    /// Not read.
    Other,
}

/// A question and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct DnsTransaction {
    /// Names the flow.
    pub flow: FlowId,
    /// Position of its first packet.
    pub first_seq: u64,
    /// Both ends and the protocol.
    pub key: FlowKey,
    /// Who asked.
    pub client: Endpoint,
    /// Who was asked.
    pub server: Endpoint,
    /// On which side of the border the flow runs.
    pub locality: Locality,
    /// What lay around the flow's first packet.
    pub tunnel: TunnelPath,
    /// `dns_query`, or its like on the local network.
    pub kind: EvidenceKind,
    /// The name asked for, as text.
    pub name: TextRef,
    /// Type asked for.
    pub query_type: u16,
    /// Identifier of the message.
    pub id: u16,
    /// Response code, extended (RFC 6891 §6.1.3), where there is a response.
    pub rcode: Option<u16>,
    /// What became of the question.
    pub outcome: DnsOutcome,
    /// What the rules make of the name.
    pub rule: Option<RuleMatch>,
    /// The frame of the question, where it was seen.
    pub query: Option<FrameRef>,
    /// The frame of the response, where it was seen.
    pub response: Option<FrameRef>,
    /// Records of the response, in the run's list of records.
    pub answers: ListRef,
}

impl DnsTransaction {
    /// A response whose question was not seen.
    pub const fn is_unsolicited(&self) -> bool {
        self.query.is_none()
    }

    /// The frame that shows the question: its own, or else the response's, which repeats it.
    pub fn frame(&self) -> FrameRef {
        self.query.or(self.response).unwrap_or_default()
    }
}

/// A flow reported or ended.
#[derive(Clone, Copy, Debug)]
pub struct FlowReported {
    /// What it carried.
    pub record: FlowRecord,
    /// What lay around its first packet.
    pub tunnel: TunnelPath,
    /// What it showed itself, in the run's list of facts.
    pub facts: ListRef,
    /// Facts beyond those kept.
    pub facts_left_out: u32,
    /// What its server chose, of TLS.
    pub server: ServerSeen,
    /// No further record follows.
    pub last: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Opened(u32),
    Observed(u32),
    Dns(u32),
    Host(u32),
    Reported(u32),
}

/// Events of one worker between two watermarks. Recycled: clearing keeps the memory.
#[derive(Debug, Default)]
pub struct EventRun {
    order: Vec<(EventKey, Place)>,
    opened: Vec<FlowOpened>,
    observed: Vec<MessageObserved>,
    dns: Vec<DnsTransaction>,
    hosts: Vec<HostFact>,
    reported: Vec<FlowReported>,
    facts: Vec<Evidence>,
    records: Vec<DnsRecord>,
    addresses: Vec<Address>,
    tls: Vec<TlsSeen>,
    texts: Vec<TextRef>,
    text: Vec<u8>,
    /// Whether the worker has more before the next watermark.
    pub unfinished: bool,
}

/// One event, with the run that holds its lists and bytes.
#[derive(Clone, Copy, Debug)]
pub enum EventRef<'a> {
    /// A flow opened.
    Opened(&'a FlowOpened),
    /// A message showed something.
    Observed(&'a MessageObserved, &'a EventRun),
    /// A question to a name service, and what became of it.
    Dns(&'a DnsTransaction, &'a EventRun),
    /// A host said something of itself.
    Host(&'a HostFact, &'a EventRun),
    /// A flow reported or ended.
    Reported(&'a FlowReported, &'a EventRun),
}

impl EventRef<'_> {
    /// The flow that it is about, by its key and the position of its first packet.
    pub fn flow(self) -> (FlowKey, u64) {
        match self {
            Self::Opened(opened) => (opened.key, opened.frame.seq),
            Self::Observed(observed, _) => (observed.key, observed.first_seq),
            Self::Dns(transaction, _) => (transaction.key, transaction.first_seq),
            Self::Host(fact, _) => (fact.key, fact.first_seq),
            Self::Reported(reported, _) => (reported.record.key, reported.record.first_seq),
        }
    }
}

impl EventRun {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.order.clear();
        self.opened.clear();
        self.observed.clear();
        self.dns.clear();
        self.hosts.clear();
        self.reported.clear();
        self.facts.clear();
        self.records.clear();
        self.addresses.clear();
        self.tls.clear();
        self.texts.clear();
        self.text.clear();
        self.unfinished = false;
    }

    /// Events held.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Keeps bytes.
    pub fn keep_text(&mut self, bytes: &[u8]) -> TextRef {
        let offset = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        TextRef {
            offset,
            len: bytes.len() as u32,
        }
    }

    /// Where the next facts will begin; [`Self::facts_since`] closes the list.
    pub fn facts_begin(&self) -> u32 {
        self.facts.len() as u32
    }

    /// Adds a fact to the list that is open.
    pub fn push_fact(&mut self, fact: Evidence) {
        self.facts.push(fact);
    }

    /// The facts added since `first`.
    pub fn facts_since(&self, first: u32) -> ListRef {
        ListRef {
            first,
            count: (self.facts.len() as u32).saturating_sub(first),
        }
    }

    /// Where the next records will begin; [`Self::records_since`] closes the list.
    pub fn records_begin(&self) -> u32 {
        self.records.len() as u32
    }

    /// Adds a record to the list that is open.
    pub fn push_record(&mut self, record: DnsRecord) {
        self.records.push(record);
    }

    /// The records added since `first`.
    pub fn records_since(&self, first: u32) -> ListRef {
        ListRef {
            first,
            count: (self.records.len() as u32).saturating_sub(first),
        }
    }

    /// Keeps a list of addresses.
    pub fn keep_addresses(&mut self, addresses: &[Address]) -> ListRef {
        let first = self.addresses.len() as u32;
        self.addresses.extend_from_slice(addresses);
        ListRef {
            first,
            count: addresses.len() as u32,
        }
    }

    /// Where the next texts will begin; [`Self::texts_since`] closes the list.
    pub fn texts_begin(&self) -> u32 {
        self.texts.len() as u32
    }

    /// Keeps bytes in the list that is open.
    pub fn push_text(&mut self, bytes: &[u8]) {
        let text = self.keep_text(bytes);
        self.texts.push(text);
    }

    /// The texts added since `first`.
    pub fn texts_since(&self, first: u32) -> ListRef {
        ListRef {
            first,
            count: (self.texts.len() as u32).saturating_sub(first),
        }
    }

    /// Keeps numbers of two bytes, in network order.
    pub fn keep_numbers(&mut self, numbers: impl Iterator<Item = u16>) -> TextRef {
        let offset = self.text.len() as u32;
        self.text.extend(numbers.flat_map(u16::to_be_bytes));
        TextRef {
            offset,
            len: (self.text.len() as u32).saturating_sub(offset),
        }
    }

    /// Keeps what TLS said.
    pub fn keep_tls(&mut self, seen: TlsSeen) -> ListRef {
        let first = self.tls.len() as u32;
        self.tls.push(seen);
        ListRef { first, count: 1 }
    }

    /// Adds an event.
    pub fn push_opened(&mut self, key: EventKey, event: FlowOpened) {
        let place = Place::Opened(self.opened.len() as u32);
        self.order.push((key, place));
        self.opened.push(event);
    }

    /// Adds an event.
    pub fn push_observed(&mut self, key: EventKey, event: MessageObserved) {
        let place = Place::Observed(self.observed.len() as u32);
        self.order.push((key, place));
        self.observed.push(event);
    }

    /// Adds an event.
    pub fn push_dns(&mut self, key: EventKey, event: DnsTransaction) {
        let place = Place::Dns(self.dns.len() as u32);
        self.order.push((key, place));
        self.dns.push(event);
    }

    /// Adds an event.
    pub fn push_host(&mut self, key: EventKey, event: HostFact) {
        let place = Place::Host(self.hosts.len() as u32);
        self.order.push((key, place));
        self.hosts.push(event);
    }

    /// Adds an event.
    pub fn push_reported(&mut self, key: EventKey, event: FlowReported) {
        let place = Place::Reported(self.reported.len() as u32);
        self.order.push((key, place));
        self.reported.push(event);
    }

    /// Brings the events into their order.
    pub fn sort(&mut self) {
        self.order.sort_unstable_by_key(|(key, _)| *key);
    }

    /// The key of the event at `position`, in order.
    pub fn key(&self, position: usize) -> Option<EventKey> {
        self.order.get(position).map(|(key, _)| *key)
    }

    /// The event at `position`, in order.
    pub fn event(&self, position: usize) -> Option<EventRef<'_>> {
        let (_, place) = self.order.get(position)?;
        Some(match *place {
            Place::Opened(at) => EventRef::Opened(self.opened.get(at as usize)?),
            Place::Observed(at) => EventRef::Observed(self.observed.get(at as usize)?, self),
            Place::Dns(at) => EventRef::Dns(self.dns.get(at as usize)?, self),
            Place::Host(at) => EventRef::Host(self.hosts.get(at as usize)?, self),
            Place::Reported(at) => EventRef::Reported(self.reported.get(at as usize)?, self),
        })
    }

    /// Bytes that were kept.
    pub fn text(&self, text: TextRef) -> &[u8] {
        self.text
            .get(text.offset as usize..)
            .and_then(|rest| rest.get(..text.len as usize))
            .unwrap_or_default()
    }

    /// A list of facts.
    pub fn facts(&self, list: ListRef) -> &[Evidence] {
        slice(&self.facts, list)
    }

    /// A list of addresses.
    pub fn addresses(&self, list: ListRef) -> &[Address] {
        slice(&self.addresses, list)
    }

    /// A list of texts.
    pub fn texts(&self, list: ListRef) -> &[TextRef] {
        slice(&self.texts, list)
    }

    /// What TLS said, if it did.
    pub fn tls(&self, list: ListRef) -> Option<&TlsSeen> {
        slice(&self.tls, list).first()
    }

    /// A list of records.
    pub fn records(&self, list: ListRef) -> &[DnsRecord] {
        slice(&self.records, list)
    }
}

fn slice<T>(all: &[T], list: ListRef) -> &[T] {
    all.get(list.first as usize..)
        .and_then(|rest| rest.get(..list.count as usize))
        .unwrap_or_default()
}
