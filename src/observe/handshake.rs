//! Segments of a TCP flow → the server name in its ClientHello, or why there is none.

use super::Slab;
use crate::decode::{Packet, TcpFlags};
use crate::flow::{Delivery, Directed, FlowEntry, FlowFlags, StreamLimits, TcpStream};
use crate::model::Coverage;
use crate::protocol::Progress;
use crate::protocol::tls::{self, HelloAssembler, Look, ServerName};

/// In the middle of a flow, so many payload packets of the client are looked at for the beginning of a hello.
const MIDSTREAM_LOOKS_MAX: u8 = 8;
/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 2 << 10;

/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Handshakes put together at a time.
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
    /// Handshakes that found no place among [`HandshakeLimits::handshakes_max`].
    pub refused_handshakes: u64,
    /// Segments that found no room to wait: [`HandshakeLimits::bytes_max`] or the limit per flow.
    pub refused_segments: u64,
    /// Given up: the beginning never came while the stream went on.
    pub given_up: u64,
}

/// What a packet showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet; more packets may.
    Nothing,
    /// There is a name; it is in [`HandshakeReader::name`]. ECH is a flag of the flow.
    Name,
    /// There will be no name; the flow's coverage says why.
    NoName,
}

/// The last name read.
#[derive(Clone, Copy, Debug)]
pub struct SeenName {
    bytes: [u8; 255],
    len: u8,
}

impl SeenName {
    /// The bytes as on the wire.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn set(&mut self, name: &[u8]) {
        self.len = name.len().min(self.bytes.len()) as u8;
        for (place, byte) in self.bytes.iter_mut().zip(name) {
            *place = *byte;
        }
    }
}

/// The payload of one packet.
#[derive(Clone, Copy)]
struct Segment<'a> {
    /// Sequence number of its first byte.
    sequence: u32,
    payload: &'a [u8],
    /// The capture has only the beginning of it.
    cut: bool,
}

#[derive(Debug, Default)]
struct Handshake {
    stream: TcpStream,
    hello: HelloAssembler,
}

/// Reads handshakes of all flows of one shard.
#[derive(Debug)]
pub struct HandshakeReader {
    handshakes: Slab<Handshake>,
    held_bytes: usize,
    limits: HandshakeLimits,
    counters: HandshakeCounters,
    name: SeenName,
}

impl HandshakeReader {
    /// A reader with these bounds.
    pub fn new(limits: HandshakeLimits) -> Self {
        Self {
            handshakes: Slab::default(),
            held_bytes: 0,
            limits,
            counters: HandshakeCounters::default(),
            name: SeenName {
                bytes: [0; 255],
                len: 0,
            },
        }
    }

    /// What was refused so far.
    pub fn counters(&self) -> HandshakeCounters {
        self.counters
    }

    /// The name, after [`Seen::Name`].
    pub fn name(&self) -> &SeenName {
        &self.name
    }

    /// Looks at a packet of a TCP flow that is not [`FlowFlags::INSPECTED`]. `handshake` is the flow's place in here, if it has one.
    #[inline]
    pub fn packet(
        &mut self,
        entry: &mut FlowEntry,
        handshake: &mut Option<u32>,
        direction: Directed,
        packet: &Packet,
        payload: &[u8],
    ) -> Seen {
        if packet.payload_wire_len == 0 {
            return Seen::Nothing;
        }
        // Data on a SYN (RFC 7413) comes behind the number that the SYN itself takes.
        let syn = u32::from(packet.tcp.flags.has(TcpFlags::SYN));
        let segment = Segment {
            sequence: packet.tcp.sequence.wrapping_add(syn),
            payload,
            cut: packet.payload_is_cut(),
        };
        if let Some(number) = *handshake {
            return match direction {
                Directed::FromInitiator => {
                    self.continue_handshake(entry, number, handshake, segment)
                }
                Directed::FromResponder => Seen::Nothing,
            };
        }
        match direction {
            Directed::FromInitiator if entry.flags.has(FlowFlags::START_KNOWN) => {
                self.at_known_start(entry, handshake, segment)
            }
            Directed::FromInitiator => self.at_unknown_start(entry, handshake, segment),
            Directed::FromResponder if may_be_swapped(entry) && is_hello_head(payload) => {
                entry.swap_sides();
                entry.stream_start = segment.sequence;
                entry.flags.set(FlowFlags::START_KNOWN);
                self.beginning(entry, handshake, segment)
            }
            Directed::FromResponder => Seen::Nothing,
        }
    }

    /// The flow is over: gives its place back.
    pub fn close(&mut self, handshake: Option<u32>) {
        let Some(number) = handshake else { return };
        if let Some(handshake) = self.handshakes.get_mut(number) {
            self.held_bytes = self.held_bytes.saturating_sub(handshake.held_bytes());
            handshake.stream.shrink(KEEP_BYTES);
            handshake.hello.shrink(KEEP_BYTES);
        }
        self.handshakes.give_back(number);
    }

    #[inline]
    fn at_known_start(
        &mut self,
        entry: &mut FlowEntry,
        handshake: &mut Option<u32>,
        segment: Segment<'_>,
    ) -> Seen {
        let offset = segment.sequence.wrapping_sub(entry.stream_start);
        if offset == 0 {
            return self.beginning(entry, handshake, segment);
        }
        if offset >= 1 << 31 {
            // Before the beginning, as keep-alives are; perhaps reaching into it.
            let before = offset.wrapping_neg() as usize;
            return match segment.payload.get(before..) {
                Some(payload) if !payload.is_empty() => {
                    let sequence = entry.stream_start;
                    self.beginning(
                        entry,
                        handshake,
                        Segment {
                            sequence,
                            payload,
                            ..segment
                        },
                    )
                }
                _ => Seen::Nothing,
            };
        }
        if offset >= self.limits.stream.window_bytes {
            return self.give_up(entry, handshake);
        }
        self.open(entry, handshake, segment)
    }

    #[inline]
    fn at_unknown_start(
        &mut self,
        entry: &mut FlowEntry,
        handshake: &mut Option<u32>,
        segment: Segment<'_>,
    ) -> Seen {
        if is_hello_head(segment.payload) {
            entry.stream_start = segment.sequence;
            entry.flags.set(FlowFlags::START_KNOWN);
            return self.beginning(entry, handshake, segment);
        }
        entry.looked_at = entry.looked_at.saturating_add(1);
        if entry.looked_at >= MIDSTREAM_LOOKS_MAX {
            return finish(entry, Coverage::Midstream);
        }
        Seen::Nothing
    }

    /// The first bytes of the client's stream.
    #[inline]
    fn beginning(
        &mut self,
        entry: &mut FlowEntry,
        handshake: &mut Option<u32>,
        segment: Segment<'_>,
    ) -> Seen {
        match tls::look(segment.payload) {
            Look::Hello(hello) => conclude(
                entry,
                classify(&mut self.name, hello.server_name),
                hello.ech_offered,
            ),
            Look::Begins if segment.cut => finish(entry, Coverage::Truncated),
            Look::Begins => self.open(entry, handshake, segment),
            Look::Other if tls::looks_like_record(segment.payload) => {
                finish(entry, Coverage::NoClientHello)
            }
            Look::Other => finish(entry, Coverage::OtherProtocol),
        }
    }

    /// Begins to put a handshake together.
    fn open(
        &mut self,
        entry: &mut FlowEntry,
        handshake: &mut Option<u32>,
        segment: Segment<'_>,
    ) -> Seen {
        if self.handshakes.in_use() >= self.limits.handshakes_max {
            self.counters.refused_handshakes = self.counters.refused_handshakes.saturating_add(1);
            return finish(entry, Coverage::Lost);
        }
        // Until it is complete, part of it is missing.
        entry.set_coverage(Coverage::Lost);
        let number = self.handshakes.take();
        *handshake = Some(number);
        if let Some(fresh) = self.handshakes.get_mut(number) {
            fresh.stream.reset(entry.stream_start);
            fresh.hello.reset();
        }
        self.continue_handshake(entry, number, handshake, segment)
    }

    fn continue_handshake(
        &mut self,
        entry: &mut FlowEntry,
        number: u32,
        handshake: &mut Option<u32>,
        segment: Segment<'_>,
    ) -> Seen {
        let Some(open) = self.handshakes.get_mut(number) else {
            return Seen::NoName;
        };
        let held_before = open.held_bytes();
        let room = self.limits.bytes_max.saturating_sub(self.held_bytes);
        let hello = &mut open.hello;
        let mut progress = Progress::NeedMore;
        let mut no_room = false;
        let delivery = open.stream.segment(
            segment.sequence,
            segment.payload,
            &self.limits.stream,
            room,
            &mut |bytes| {
                if hello.held_bytes().saturating_add(bytes.len()) > room.saturating_add(held_before)
                {
                    no_room = true;
                } else if progress == Progress::NeedMore {
                    progress = hello.feed(bytes);
                }
            },
        );
        self.held_bytes = self
            .held_bytes
            .saturating_sub(held_before)
            .saturating_add(open.held_bytes());
        if no_room || delivery == Delivery::NoRoom {
            self.counters.refused_segments = self.counters.refused_segments.saturating_add(1);
        }
        match progress {
            Progress::Done => {
                self.counters.reassembled = self.counters.reassembled.saturating_add(1);
                let seen = match open.hello.hello() {
                    Some(hello) => conclude(
                        entry,
                        classify(&mut self.name, hello.server_name),
                        hello.ech_offered,
                    ),
                    None => finish(entry, Coverage::NoClientHello),
                };
                self.close(handshake.take());
                seen
            }
            Progress::Mismatch => {
                self.close(handshake.take());
                finish(entry, Coverage::NoClientHello)
            }
            Progress::NeedMore if no_room => self.give_up(entry, handshake),
            Progress::NeedMore if segment.cut => {
                self.close(handshake.take());
                finish(entry, Coverage::Truncated)
            }
            Progress::NeedMore => {
                let offset = segment.sequence.wrapping_sub(entry.stream_start);
                let behind_window = offset < 1 << 31 && offset >= self.limits.stream.window_bytes;
                if behind_window {
                    self.give_up(entry, handshake)
                } else {
                    Seen::Nothing
                }
            }
        }
    }

    fn give_up(&mut self, entry: &mut FlowEntry, handshake: &mut Option<u32>) -> Seen {
        self.counters.given_up = self.counters.given_up.saturating_add(1);
        self.close(handshake.take());
        finish(entry, Coverage::Lost)
    }
}

impl Handshake {
    fn held_bytes(&self) -> usize {
        self.stream
            .held_bytes()
            .saturating_add(self.hello.held_bytes())
    }
}

#[derive(Clone, Copy)]
enum NameKind {
    Name,
    Address,
    Absent,
}

/// Keeps the name, and says what it is.
#[inline]
fn classify(name: &mut SeenName, server_name: ServerName<'_>) -> NameKind {
    match server_name {
        ServerName::Name(bytes) => {
            name.set(bytes);
            NameKind::Name
        }
        ServerName::Address(_) => NameKind::Address,
        ServerName::Absent | ServerName::TooLong => NameKind::Absent,
    }
}

/// The hello was read: what it means for the flow.
#[inline]
fn conclude(entry: &mut FlowEntry, kind: NameKind, ech_offered: bool) -> Seen {
    if ech_offered {
        entry.flags.set(FlowFlags::ECH_OFFERED);
    }
    match kind {
        NameKind::Name => {
            entry.flags.set(FlowFlags::INSPECTED);
            Seen::Name
        }
        NameKind::Address => finish(entry, Coverage::SniIsAddress),
        NameKind::Absent if ech_offered => finish(entry, Coverage::EchOffered),
        NameKind::Absent => finish(entry, Coverage::SniAbsent),
    }
}

/// Nothing more is to be read: the coverage says why there is no name.
#[inline]
fn finish(entry: &mut FlowEntry, coverage: Coverage) -> Seen {
    entry.flags.set(FlowFlags::INSPECTED);
    entry.set_coverage(coverage);
    Seen::NoName
}

/// Only where the beginning was not seen can the sides be the wrong way round; and nothing may have been reported of them.
fn may_be_swapped(entry: &FlowEntry) -> bool {
    entry.flags.has(FlowFlags::MIDSTREAM) && !entry.flags.has(FlowFlags::HAS_DETAIL)
}

/// Whether a stream whose beginning was not seen begins here: enough of a record of handshake type to believe it.
#[inline]
fn is_hello_head(payload: &[u8]) -> bool {
    payload.len() >= 3 && tls::begins_like_hello(payload)
}

#[cfg(test)]
mod tests;
