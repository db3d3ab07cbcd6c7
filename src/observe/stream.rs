//! Segments of a TCP flow → what its client says in clear: the server name of a hello, HTTP requests, DNS messages.

mod beginnings;
mod conversation;
mod decrypted;
mod ordered;
mod reading;
mod signs;

pub use self::decrypted::DecryptCounters;
pub use self::signs::{coverage_of, unrecognised};

use self::beginnings::{Choice, Place, choose};
use self::conversation::{Conversation, Kind};
use self::decrypted::Decryption;
use self::signs::{is_head, is_padding, look_again, may_ask_for_tls, may_be_swapped, recognised};
use std::sync::Arc;

use super::Slab;
use super::hello::{conclude, finish, settle};
use crate::decode::{Packet, TcpFlags};
use crate::flow::{Directed, FlowEntry, FlowFlags, StreamLimits};
use crate::model::{AppProtocol, Coverage, Timestamp};
use crate::protocol::decrypt::KeyStore;
use crate::protocol::dns;
use crate::protocol::http1::{self, Request};
use crate::protocol::proxy_header;
use crate::protocol::socks;
use crate::protocol::starttls;
use crate::protocol::tls::{self, Certificate, ClientHello, Look, ServerFlight, ServerHello};

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
    /// TLS sessions that are decrypted at a time; each has one of those places.
    pub sessions_max: usize,
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
    /// A request inside TLS, and how it is written there.
    Decrypted(Inside, &'a Request<'a>),
    /// What a server of TLS 1.3 chose, and the certificate that it showed under encryption.
    DecryptedServer(&'a ServerHello, &'a Certificate<'a>),
    /// A DNS message, and which way it went.
    Dns(Directed, &'a [u8]),
}

/// What is read inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// HTTP/1.
    Http,
    /// HTTP/2.
    Http2,
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
    decryption: Decryption,
}

impl StreamReader {
    /// A reader with these bounds.
    pub fn new(limits: HandshakeLimits) -> Self {
        Self {
            conversations: Slab::default(),
            held_bytes: 0,
            limits,
            counters: HandshakeCounters::default(),
            decryption: Decryption {
                sessions_max: limits.sessions_max,
                ..Decryption::default()
            },
        }
    }

    /// From here on these secrets are known.
    pub fn know(&mut self, keys: &Arc<KeyStore>) {
        self.decryption.keys = (!keys.is_empty()).then(|| Arc::clone(keys));
    }

    /// What became of sessions that could be decrypted.
    pub fn decrypt_counters(&self) -> DecryptCounters {
        self.decryption.counters
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
            if conversation.parsers.kind == Kind::Encrypted {
                self.decryption.sessions = self.decryption.sessions.saturating_sub(1);
            }
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
            Look::Hello(hello)
                if self.decryption.keys.is_some()
                    && self.decryption.admits(&hello, self.has_place()) =>
            {
                self.open(entry, place, segment, show);
            }
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
}

#[cfg(test)]
mod tests;
