//! Segments of a TCP flow → what its client says in clear: the server name of a hello, HTTP requests, DNS messages.

mod beginnings;
mod conversation;
mod ordered;

use self::beginnings::{Choice, Place, choose, is_sure_head};
use self::conversation::{Client, Conversation, Kind, NameServer, State};
use super::Slab;
use super::hello::{conclude, finish, settle};
use crate::decode::{Packet, TcpFlags};
use crate::flow::{Delivery, Directed, FlowEntry, FlowFlags, StreamLimits};
use crate::model::{AppProtocol, Carries, Coverage, Timestamp};
use crate::protocol::dns;
use crate::protocol::http1::{self, Request};
use crate::protocol::proxy_header;
use crate::protocol::recognise::{Transport, looks_random, recognise};
use crate::protocol::socks;
use crate::protocol::starttls::{self, style_of};
use crate::protocol::tls::{self, Certificate, ClientHello, Look, ServerFlight};

/// In the middle of a flow, so many payload packets of the client are looked at for a beginning.
const LOOKS_MAX: u8 = 8;
/// Added to the looks of a flow whose client began with something that was not recognised; its server may still tell.
const CLIENT_UNKNOWN: u8 = 0x80;
/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Streams put together at a time.
    pub handshakes_max: usize,
    /// Bytes held by all of them.
    pub bytes_max: usize,
    /// Per flow.
    pub stream: StreamLimits,
}

/// What was refused, with its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounters {
    /// Handshakes that needed more than one segment.
    pub reassembled: u64,
    /// Streams that found no place among [`HandshakeLimits::handshakes_max`].
    pub refused_handshakes: u64,
    /// Segments that found no room to wait: [`HandshakeLimits::bytes_max`] or the limit per flow.
    pub refused_segments: u64,
    /// Given up: the beginning never came while the stream went on.
    pub given_up: u64,
    /// Gaps in requests, questions and answers that were passed over, or behind which something still waited when the flow ended.
    pub gaps: u64,
    /// Sessions of protocols that may ask for TLS that were watched for as long as they are, and had not begun it.
    pub watched_out: u64,
}

/// Something that the client, or a name server, said.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// A ClientHello, with a name or without.
    Hello(&'a ClientHello<'a>),
    /// What a server of TLS said before it encrypted, and its certificate where one was shown.
    Server(&'a ServerFlight, Option<&'a Certificate<'a>>),
    /// An HTTP request.
    Request(&'a Request<'a>),
    /// A request to a SOCKS proxy.
    Socks(&'a socks::Request<'a>),
    /// A DNS message, and which way it went.
    Dns(Directed, &'a [u8]),
}

/// The payload of one packet.
#[derive(Clone, Copy)]
struct Segment<'a> {
    /// Sequence number of its first byte.
    sequence: u32,
    /// What its sender expects next of the other side, where it says so.
    acknowledgment: Option<u32>,
    payload: &'a [u8],
    /// Bytes that the capture left out.
    missing: u32,
    source_port: u16,
    destination_port: u16,
    time: Timestamp,
}

impl Segment<'_> {
    fn is_dns_port(&self) -> bool {
        /// [RFC 7766]
        const DNS: u16 = 53;
        self.source_port == DNS || self.destination_port == DNS
    }

    /// Whether zeros may begin what is spoken here: they are of a length.
    fn begins_with_zeros(&self) -> bool {
        const POSTGRES: u16 = 5432;
        self.is_dns_port() || self.destination_port == POSTGRES
    }
}

/// Reads the streams of all flows of one shard.
#[derive(Debug)]
pub struct StreamReader {
    conversations: Slab<Conversation>,
    held_bytes: usize,
    limits: HandshakeLimits,
    counters: HandshakeCounters,
}

impl StreamReader {
    /// A reader with these bounds.
    pub fn new(limits: HandshakeLimits) -> Self {
        Self {
            conversations: Slab::default(),
            held_bytes: 0,
            limits,
            counters: HandshakeCounters::default(),
        }
    }

    /// What was refused so far.
    pub fn counters(&self) -> HandshakeCounters {
        self.counters
    }

    /// Looks at a packet of a TCP flow that is not [`FlowFlags::INSPECTED`]. `place` is the flow's place in here, if it has one;
    /// `show` is given every message that the packet completes. Why there is none, the flow's coverage says.
    #[inline]
    #[allow(
        clippy::too_many_arguments,
        reason = "the flow, its packet, and who wants to know"
    )]
    pub fn packet(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        direction: Directed,
        packet: &Packet,
        time: Timestamp,
        payload: &[u8],
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if packet.payload_wire_len == 0 {
            return;
        }
        // Data on a SYN (RFC 7413) comes behind the number that the SYN itself takes.
        let syn = u32::from(packet.tcp.flags.has(TcpFlags::SYN));
        let acknowledges = packet.tcp.flags.has(TcpFlags::ACK);
        let segment = Segment {
            sequence: packet.tcp.sequence.wrapping_add(syn),
            acknowledgment: acknowledges.then_some(packet.tcp.acknowledgment),
            payload,
            missing: packet.payload_wire_len.saturating_sub(packet.payload_len),
            source_port: packet.source_port,
            destination_port: packet.destination_port,
            time,
        };
        if place.is_none() && !segment.begins_with_zeros() && is_padding(payload) {
            return;
        }
        let direction = if entry.flags.has(FlowFlags::ROLES_TURNED) {
            direction.opposite()
        } else {
            direction
        };
        match (*place, direction) {
            (Some(number), Directed::FromInitiator) => {
                self.go_on(entry, number, place, segment, show);
            }
            (Some(number), Directed::FromResponder) => self.answer(entry, number, segment, show),
            (None, Directed::FromInitiator) if entry.flags.has(FlowFlags::START_KNOWN) => {
                self.at_known_start(entry, place, segment, show);
            }
            (None, Directed::FromInitiator) => self.at_unknown_start(entry, place, segment, show),
            (None, Directed::FromResponder) => self.server_speaks(entry, place, segment, show),
        }
    }

    /// The flow is over: gives its place back.
    pub fn close(&mut self, place: Option<u32>) {
        let Some(number) = place else { return };
        if let Some(conversation) = self.conversations.get_mut(number) {
            self.held_bytes = self.held_bytes.saturating_sub(conversation.held_bytes());
            self.counters.gaps = self
                .counters
                .gaps
                .saturating_add(conversation.gaps_at_end());
            conversation.shrink();
        }
        self.conversations.give_back(number);
    }

    #[inline]
    fn at_known_start(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if entry.looked_at >= CLIENT_UNKNOWN {
            return look_again(entry);
        }
        let offset = segment.sequence.wrapping_sub(entry.stream_start);
        if offset == 0 {
            return self.beginning(entry, place, segment, show);
        }
        if offset >= 1 << 31 {
            // Before the beginning, as keep-alives are; perhaps reaching into it.
            let before = offset.wrapping_neg() as usize;
            if let Some(payload) = segment
                .payload
                .get(before..)
                .filter(|rest| !rest.is_empty())
            {
                let sequence = entry.stream_start;
                let segment = Segment {
                    sequence,
                    payload,
                    ..segment
                };
                self.beginning(entry, place, segment, show);
            }
            return;
        }
        if offset >= self.limits.stream.window_bytes {
            return self.give_up(entry, place);
        }
        self.open(entry, place, segment, show);
    }

    #[inline]
    fn at_unknown_start(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let is_question = segment.is_dns_port() && dns::looks_like_stream(segment.payload);
        // Its server was heard before: what the client says then is the beginning, or as good as one.
        let is_answer = may_ask_for_tls(entry) && !starttls::is_greeting(segment.payload);
        if is_question || is_answer || is_head(segment.payload) {
            entry.stream_start = segment.sequence;
            entry.flags.set(FlowFlags::START_KNOWN);
            return self.beginning(entry, place, segment, show);
        }
        if recognised(entry, Directed::FromInitiator, &segment) {
            if may_be_swapped(entry) && starttls::is_greeting(segment.payload) {
                entry.swap_sides();
            }
            return;
        }
        entry.looked_at = entry.looked_at.saturating_add(1);
        if entry.looked_at >= LOOKS_MAX {
            finish(entry, Coverage::Midstream);
        }
    }

    /// A packet of the server's while nothing of the client's is being read.
    #[inline]
    fn server_speaks(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if may_be_swapped(entry) && is_head(segment.payload) {
            entry.swap_sides();
            entry.stream_start = segment.sequence;
            entry.flags.set(FlowFlags::START_KNOWN);
            return self.beginning(entry, place, segment, show);
        }
        if entry.app_protocol().is_none() && socks::is_client(segment.payload) {
            // A proxy behind a wall connects to its client, which then asks as if it had connected.
            entry.flags.set(FlowFlags::ROLES_TURNED);
            entry.stream_start = segment.sequence;
            entry.flags.set(FlowFlags::START_KNOWN);
            return self.beginning(entry, place, segment, show);
        }
        if entry.app_protocol().is_some() {
            return look_again(entry);
        }
        if segment.is_dns_port() && dns::looks_like_stream(segment.payload) {
            // One direction only: the answers repeat the questions.
            let Some(number) = self.place(entry, place, &segment) else {
                return;
            };
            if let Some(conversation) = self.conversations.get_mut(number) {
                conversation.parsers.kind = Kind::Dns;
                // What the segment acknowledges is the client's.
                conversation.answers_known = false;
            }
            entry.set_app_protocol(AppProtocol::Dns);
            entry.set_coverage(Coverage::NameService);
            return self.answer(entry, number, segment, show);
        }
        if recognised(entry, Directed::FromResponder, &segment) {
            return;
        }
        if matches!(
            entry.coverage(),
            Coverage::NoPayload | Coverage::OtherProtocol
        ) {
            entry.set_coverage(unrecognised(segment.payload));
        }
        if entry.looked_at >= CLIENT_UNKNOWN {
            entry.flags.set(FlowFlags::INSPECTED);
        } else {
            look_again(entry);
        }
    }

    /// The first bytes of the client's stream.
    #[inline]
    fn beginning(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        match tls::look(segment.payload) {
            Look::Hello(hello) => {
                entry.set_app_protocol(AppProtocol::Tls);
                conclude(entry, &hello, show);
            }
            Look::Begins if segment.missing > 0 => {
                entry.set_app_protocol(AppProtocol::Tls);
                finish(entry, Coverage::Truncated);
            }
            Look::Begins => self.open(entry, place, segment, show),
            Look::Other => self.another_beginning(entry, place, segment, show),
        }
    }

    /// Not TLS: a request, a question, or something else that is recognised by its first bytes.
    fn another_beginning(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let len = proxy_header::headers_len(segment.payload);
        if len > 0 {
            // Load balancers' words about their client; the client's own begins behind them.
            let behind = segment.payload.get(len..).unwrap_or_default();
            let sequence = segment.sequence.wrapping_add(len as u32);
            entry.stream_start = sequence;
            if behind.is_empty() {
                return;
            }
            let segment = Segment {
                sequence,
                payload: behind,
                ..segment
            };
            return self.beginning(entry, place, segment, show);
        }
        let is_request = http1::begins_like_request(segment.payload);
        if is_request || segment.is_dns_port() && dns::looks_like_stream(segment.payload) {
            return self.open(entry, place, segment, show);
        }
        let from = Place {
            ports: (segment.source_port, segment.destination_port),
            ..Place::default()
        };
        if matches!(
            choose(segment.payload, entry.app_protocol(), from),
            Choice::Wait | Choice::Http2 | Choice::Socks | Choice::Watch(..)
        ) {
            return self.open(entry, place, segment, show);
        }
        if tls::looks_like_record(segment.payload) {
            entry.set_app_protocol(AppProtocol::Tls);
            return finish(entry, Coverage::NoClientHello);
        }
        if recognised(entry, Directed::FromInitiator, &segment) {
            return;
        }
        settle(entry, unrecognised(segment.payload));
        if entry.flags.has(FlowFlags::RESPONDER_PAYLOAD) {
            entry.flags.set(FlowFlags::INSPECTED);
        } else {
            entry.looked_at = CLIENT_UNKNOWN;
        }
    }

    /// Begins to read a stream.
    fn open(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let at_beginning = segment.sequence == entry.stream_start;
        let Some(number) = self.place(entry, place, &segment) else {
            // Without a place the first packet alone is read.
            if at_beginning && let http1::Look::Request(request, _) = http1::look(segment.payload) {
                entry.set_app_protocol(AppProtocol::Http);
                show(entry, Message::Request(&request));
            }
            return;
        };
        self.go_on(entry, number, place, segment, show);
    }

    /// A place for the flow; `None`, counted, if there is none.
    fn place(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: &Segment<'_>,
    ) -> Option<u32> {
        if self.conversations.in_use() >= self.limits.handshakes_max {
            self.counters.refused_handshakes = self.counters.refused_handshakes.saturating_add(1);
            finish(entry, Coverage::Lost);
            return None;
        }
        // Until a message is complete, part of it is missing; a protocol that need not show one is what it is.
        if !may_ask_for_tls(entry) {
            settle(entry, Coverage::Lost);
        }
        let number = self.conversations.take();
        *place = Some(number);
        if let Some(fresh) = self.conversations.get_mut(number) {
            fresh.reset(entry.stream_start, segment);
        }
        Some(number)
    }

    fn go_on(
        &mut self,
        entry: &mut FlowEntry,
        number: u32,
        place: &mut Option<u32>,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let Some(open) = self.conversations.get_mut(number) else {
            return;
        };
        let held_before = open.held_bytes();
        let room = self.limits.bytes_max.saturating_sub(self.held_bytes);
        let Conversation {
            stream, parsers, ..
        } = open;
        let mut client = Client {
            room: room
                .saturating_add(held_before)
                .saturating_sub(stream.held_bytes()),
            parsers,
            entry,
            show,
        };
        let gaps = &mut self.counters.gaps;
        let delivery = stream.take(&segment, &self.limits.stream, room, gaps, &mut client);
        let (kind, state) = (parsers.kind, parsers.state);
        let refused = u64::from(state == State::NoRoom || delivery == Delivery::NoRoom);
        self.account(number, held_before, refused);
        match (kind, state) {
            (_, State::Done) => {
                self.counters.reassembled = self.counters.reassembled.saturating_add(1);
                self.close(place.take());
            }
            (_, State::NoRoom) | (Kind::Http2, State::Mismatch) => self.give_up(entry, place),
            (_, State::Ended | State::Exhausted) => {
                let exhausted = u64::from(state == State::Exhausted);
                self.counters.watched_out = self.counters.watched_out.saturating_add(exhausted);
                self.close(place.take());
                entry.flags.set(FlowFlags::INSPECTED);
            }
            (kind, State::Mismatch) => {
                self.close(place.take());
                mismatch(entry, kind, &segment);
            }
            (
                Kind::Requests | Kind::Dns | Kind::Http2 | Kind::Socks | Kind::Watch,
                State::NeedMore,
            ) => {}
            (Kind::Undecided | Kind::Hello, State::NeedMore) => {
                if segment.missing > 0 {
                    self.close(place.take());
                    finish(entry, Coverage::Truncated);
                } else if delivery == Delivery::NoRoom
                    && segment.sequence.wrapping_sub(entry.stream_start) < 1 << 31
                    && segment.sequence.wrapping_sub(entry.stream_start)
                        >= self.limits.stream.window_bytes
                {
                    self.give_up(entry, place);
                }
            }
        }
    }

    /// What the server of a conversation sends; only name servers are listened to.
    fn answer(
        &mut self,
        entry: &mut FlowEntry,
        number: u32,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let Some(open) = self.conversations.get_mut(number) else {
            return;
        };
        if open.parsers.kind != Kind::Dns {
            return;
        }
        if !open.answers_known {
            open.answers_known = true;
            open.answers.reset(segment.sequence);
        }
        let held_before = open.held_bytes();
        let room = self.limits.bytes_max.saturating_sub(self.held_bytes);
        let Conversation {
            answers, parsers, ..
        } = open;
        let mut server = NameServer {
            room: room
                .saturating_add(held_before)
                .saturating_sub(answers.held_bytes()),
            parsers,
            entry,
            show,
        };
        let gaps = &mut self.counters.gaps;
        let delivery = answers.take(&segment, &self.limits.stream, room, gaps, &mut server);
        self.account(number, held_before, u64::from(delivery == Delivery::NoRoom));
    }

    /// What a conversation holds has changed; so many of its segments found no room, beside what its parsers dropped.
    fn account(&mut self, number: u32, held_before: usize, refused: u64) {
        let Some(open) = self.conversations.get_mut(number) else {
            return;
        };
        let refused = refused.saturating_add(std::mem::take(&mut open.parsers.refused));
        self.counters.refused_segments = self.counters.refused_segments.saturating_add(refused);
        self.held_bytes = self
            .held_bytes
            .saturating_sub(held_before)
            .saturating_add(open.held_bytes());
    }

    fn give_up(&mut self, entry: &mut FlowEntry, place: &mut Option<u32>) {
        self.counters.given_up = self.counters.given_up.saturating_add(1);
        self.close(place.take());
        finish(entry, Coverage::Lost);
    }
}

/// The stream turned out to be something else than it began like.
fn mismatch(entry: &mut FlowEntry, kind: Kind, segment: &Segment<'_>) {
    match kind {
        Kind::Hello => finish(entry, Coverage::NoClientHello),
        // It showed what it had to show, or nothing that could be read.
        Kind::Requests | Kind::Http2 | Kind::Dns | Kind::Watch => {
            finish(entry, Coverage::OtherProtocol);
        }
        // Sure of the protocol, and what it negotiates cannot be read.
        Kind::Socks if entry.app_protocol() == Some(AppProtocol::Socks) => {
            finish(entry, Coverage::Proxied);
        }
        Kind::Undecided | Kind::Socks => {
            if !recognised(entry, Directed::FromInitiator, segment) {
                finish(entry, unrecognised(segment.payload));
            }
            entry.flags.set(FlowFlags::INSPECTED);
        }
    }
}

/// Whether the bytes tell what protocol it is. If it is one that shows no name, nothing more is read of the flow.
fn recognised(entry: &mut FlowEntry, direction: Directed, segment: &Segment<'_>) -> bool {
    let found = recognise(
        Transport::Tcp,
        segment.source_port,
        segment.destination_port,
        segment.payload,
    );
    let Some(protocol) = found else { return false };
    entry.set_app_protocol(protocol);
    match protocol {
        // Its beginning was not seen from this side; the client's may still come.
        AppProtocol::Tls | AppProtocol::Http => {
            if !entry.flags.has(FlowFlags::MIDSTREAM) {
                settle(
                    entry,
                    match protocol {
                        AppProtocol::Tls => Coverage::NoClientHello,
                        _ => Coverage::Lost,
                    },
                );
            }
            direction == Directed::FromResponder
        }
        _ if style_of(protocol).is_some()
            || protocol == AppProtocol::Http2 && direction == Directed::FromResponder =>
        {
            // Its client may ask for TLS, or has yet to speak.
            settle(entry, coverage_of(protocol));
            true
        }
        _ => {
            finish(entry, coverage_of(protocol));
            true
        }
    }
}

/// The bucket of a flow in which a protocol was recognised and no name was read.
pub fn coverage_of(protocol: AppProtocol) -> Coverage {
    match protocol.carries() {
        Carries::Packets => Coverage::Tunnel,
        Carries::Nothing => Coverage::NamelessProtocol,
        Carries::Names | Carries::Encrypted => match protocol {
            AppProtocol::Quic => Coverage::QuicUndecryptable,
            AppProtocol::Tls | AppProtocol::Dtls => Coverage::NoClientHello,
            AppProtocol::Dns | AppProtocol::Mdns | AppProtocol::Llmnr | AppProtocol::Nbns => {
                Coverage::NameService
            }
            _ => Coverage::NamelessProtocol,
        },
    }
}

/// The bucket of a flow whose first bytes are those of no protocol that is known.
pub fn unrecognised(payload: &[u8]) -> Coverage {
    if looks_random(payload) {
        Coverage::OpaquePayload
    } else {
        Coverage::OtherProtocol
    }
}

/// One more packet that told nothing; after some, nothing more is expected.
fn look_again(entry: &mut FlowEntry) {
    entry.looked_at = entry.looked_at.saturating_add(1);
    if entry.looked_at & !CLIENT_UNKNOWN >= LOOKS_MAX {
        entry.flags.set(FlowFlags::INSPECTED);
    }
}

/// Some devices count the padding of a short Ethernet frame as payload: at most six bytes of zeros. But for DNS, and
/// PostgreSQL on its port, nothing that is read here begins so, and the stream goes on as if they had not been sent.
fn is_padding(payload: &[u8]) -> bool {
    const PADDING_MAX: usize = 6;
    !payload.is_empty() && payload.len() <= PADDING_MAX && payload.iter().all(|byte| *byte == 0)
}

/// Only where the beginning was not seen can the sides be the wrong way round; and nothing may have been reported of them.
fn may_be_swapped(entry: &FlowEntry) -> bool {
    entry.flags.has(FlowFlags::MIDSTREAM) && !entry.flags.has(FlowFlags::HAS_DETAIL)
}

/// Whether a protocol was recognised whose client may ask for TLS.
fn may_ask_for_tls(entry: &FlowEntry) -> bool {
    entry.app_protocol().and_then(style_of).is_some()
}

/// Whether a client's stream whose beginning was not seen begins here.
#[inline]
fn is_head(payload: &[u8]) -> bool {
    is_hello_head(payload) || is_request_head(payload) || is_sure_head(payload)
}

/// Whether a stream whose beginning was not seen begins here: enough of a record of handshake type to believe it.
#[inline]
fn is_hello_head(payload: &[u8]) -> bool {
    payload.len() >= 3 && tls::begins_like_hello(payload)
}

/// Whether a request begins here, by more than its first letters: in the middle of a stream they prove little.
#[inline]
fn is_request_head(payload: &[u8]) -> bool {
    payload.len() >= 16
        && http1::begins_like_request(payload)
        && !matches!(http1::look(payload), http1::Look::Other)
}

#[cfg(test)]
mod tests;
