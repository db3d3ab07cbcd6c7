//! Segments of a TCP flow → what its server says in clear before TLS encrypts: the version it chose, and its certificate.
//!
//! Beside [`super::StreamReader`], which reads the client: either direction may be the only one that was captured. Reading begins
//! where the client's hello says that the server's answer will, or else with the first record that looks like its beginning, and ends
//! with TLS 1.3, a session that is resumed, or the certificate.

use super::{Message, Slab};
use crate::decode::Packet;
use crate::flow::{Delivery, Directed, FlowEntry, FlowFlags, StreamLimits, TcpStream};
use crate::model::{AppProtocol, Coverage};
use crate::protocol::Progress;
use crate::protocol::tls::{Certificate, ServerFlight, begins_like_server};

/// Packets of a server that are looked at for the beginning of its answer.
const LOOKS_MAX: u8 = 16;
/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 4 << 10;

/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Servers' handshakes put together at a time.
    pub handshakes_max: usize,
    /// Bytes held by all of them.
    pub bytes_max: usize,
    /// Per flow.
    pub stream: StreamLimits,
}

/// What was read of servers, and what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// Servers whose answer was read.
    pub answers: u64,
    /// Of these, those that resumed a session, and so showed no certificate.
    pub resumed: u64,
    /// Certificates read.
    pub certificates: u64,
    /// Certificates that are not what RFC 5280 says.
    pub malformed: u64,
    /// Answers that found no place among [`ServerLimits::handshakes_max`].
    pub refused: u64,
    /// Given up: part of the answer never came, there was no room for it, or it was something else.
    pub given_up: u64,
}

/// Where the reading of a server stands; kept with its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerPlace {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Its answer begins with this sequence number.
    Start(u32),
    /// It is read in this place.
    Open(u32),
}

#[derive(Debug, Default)]
struct Reading {
    stream: TcpStream,
    flight: ServerFlight,
}

impl Reading {
    fn held_bytes(&self) -> usize {
        self.stream
            .held_bytes()
            .saturating_add(self.flight.held_bytes())
    }
}

/// Reads the servers of all flows of one shard.
#[derive(Debug)]
pub struct ServerReader {
    readings: Slab<Reading>,
    held_bytes: usize,
    limits: ServerLimits,
    counters: ServerCounters,
}

impl ServerReader {
    /// A reader with these bounds.
    pub fn new(limits: ServerLimits) -> Self {
        Self {
            readings: Slab::default(),
            held_bytes: 0,
            limits,
            counters: ServerCounters::default(),
        }
    }

    /// What was read and refused so far.
    pub fn counters(&self) -> ServerCounters {
        self.counters
    }

    /// Whether a packet is one that this reader wants to see.
    #[inline]
    pub fn wants(entry: &FlowEntry, direction: Directed, payload: &[u8]) -> bool {
        if entry.flags.has(FlowFlags::SERVER_WANTED) {
            // A proxy that connects to its client is the client of what is spoken.
            let from_server = if entry.flags.has(FlowFlags::ROLES_TURNED) {
                Directed::FromInitiator
            } else {
                Directed::FromResponder
            };
            return direction == from_server;
        }
        !entry.flags.has(FlowFlags::INSPECTED)
            && begins_like_server(payload)
            && (direction == Directed::FromResponder || may_be_swapped(entry))
    }

    /// Takes a packet that [`Self::wants`] is true of. What the server says is given to `show`, once.
    pub fn packet(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut ServerPlace,
        direction: Directed,
        packet: &Packet,
        payload: &[u8],
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if payload.is_empty() {
            return;
        }
        if !entry.flags.has(FlowFlags::SERVER_WANTED) {
            if direction == Directed::FromInitiator {
                entry.swap_sides();
            }
            entry.flags.set(FlowFlags::SERVER_WANTED);
            entry.set_app_protocol(AppProtocol::Tls);
            if !entry.flags.has(FlowFlags::MIDSTREAM) {
                super::hello::settle(entry, Coverage::NoClientHello);
            }
        }
        let sequence = packet.tcp.sequence;
        let number = match *place {
            ServerPlace::Open(number) => number,
            ServerPlace::Start(_) | ServerPlace::Unknown => {
                let begins = begins_like_server(payload);
                let start = match *place {
                    // A bit early or late: what was said before STARTTLS, or a segment out of order.
                    ServerPlace::Start(start)
                        if !begins
                            && sequence.wrapping_sub(start) < self.limits.stream.window_bytes =>
                    {
                        start
                    }
                    _ if begins => sequence,
                    _ => return self.look_again(entry),
                };
                let Some(number) = self.open(entry, start) else {
                    return;
                };
                *place = ServerPlace::Open(number);
                number
            }
        };
        self.read(entry, number, place, sequence, payload, show);
    }

    /// The flow is over: gives its place back.
    pub fn close(&mut self, place: ServerPlace) {
        if let ServerPlace::Open(number) = place {
            self.counters.given_up = self.counters.given_up.saturating_add(1);
            self.give_back(number);
        }
    }

    fn give_back(&mut self, number: u32) {
        if let Some(reading) = self.readings.get_mut(number) {
            self.held_bytes = self.held_bytes.saturating_sub(reading.held_bytes());
            reading.stream.shrink(KEEP_BYTES);
            reading.flight.shrink(KEEP_BYTES);
        }
        self.readings.give_back(number);
    }

    fn open(&mut self, entry: &mut FlowEntry, start: u32) -> Option<u32> {
        if self.readings.in_use() >= self.limits.handshakes_max {
            self.counters.refused = self.counters.refused.saturating_add(1);
            entry.flags.clear(FlowFlags::SERVER_WANTED);
            return None;
        }
        let number = self.readings.take();
        if let Some(fresh) = self.readings.get_mut(number) {
            fresh.stream.reset(start);
            fresh.flight.reset();
        }
        Some(number)
    }

    fn read(
        &mut self,
        entry: &mut FlowEntry,
        number: u32,
        place: &mut ServerPlace,
        sequence: u32,
        payload: &[u8],
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let Some(reading) = self.readings.get_mut(number) else {
            return;
        };
        let held_before = reading.held_bytes();
        let room = self
            .limits
            .bytes_max
            .saturating_sub(self.held_bytes)
            .saturating_add(held_before);
        let Reading { stream, flight } = reading;
        let mut progress = Progress::NeedMore;
        let stream_room = room.saturating_sub(flight.held_bytes());
        let limits = &self.limits.stream;
        let delivery = stream.segment(sequence, payload, limits, stream_room, &mut |bytes| {
            if progress == Progress::NeedMore {
                progress = flight.feed(bytes);
            }
        });
        let held = reading.held_bytes();
        self.held_bytes = self
            .held_bytes
            .saturating_sub(held_before)
            .saturating_add(held);
        if progress == Progress::NeedMore && delivery != Delivery::NoRoom && held <= room {
            return;
        }
        let counters = &mut self.counters;
        if progress == Progress::Done {
            counters.answers = counters.answers.saturating_add(1);
            let resumed = u64::from(reading.flight.is_resumed());
            counters.resumed = counters.resumed.saturating_add(resumed);
            let flight = &reading.flight;
            let der = flight.certificate();
            let certificate = der.and_then(|der| Certificate::parse(der).ok());
            match (der, certificate) {
                (Some(_), Some(_)) => {
                    counters.certificates = counters.certificates.saturating_add(1);
                }
                (Some(_), None) => counters.malformed = counters.malformed.saturating_add(1),
                (None, _) => {}
            }
            show(entry, Message::Server(flight, certificate.as_ref()));
        } else {
            counters.given_up = counters.given_up.saturating_add(1);
        }
        entry.flags.clear(FlowFlags::SERVER_WANTED);
        *place = ServerPlace::Unknown;
        self.give_back(number);
    }

    /// One more packet that was not the beginning; after some, none is expected.
    fn look_again(&mut self, entry: &mut FlowEntry) {
        if !entry.flags.has(FlowFlags::INSPECTED) {
            return;
        }
        entry.looked_at = entry.looked_at.saturating_add(1);
        if entry.looked_at >= LOOKS_MAX {
            entry.flags.clear(FlowFlags::SERVER_WANTED);
            self.counters.given_up = self.counters.given_up.saturating_add(1);
        }
    }
}

/// Protocols that a server may leave for TLS in the middle of a conversation (RFC 2595, 3207, 4217, 4511 §4.14, 6120 §5), and proxies.
pub const fn may_turn_to_tls(protocol: AppProtocol) -> bool {
    matches!(
        protocol,
        AppProtocol::Socks
            | AppProtocol::Smtp
            | AppProtocol::Ftp
            | AppProtocol::Imap
            | AppProtocol::Pop3
            | AppProtocol::Nntp
            | AppProtocol::Irc
            | AppProtocol::Xmpp
            | AppProtocol::Ldap
            | AppProtocol::Mysql
            | AppProtocol::Postgres
    )
}

/// Only where the beginning was not seen can the sides be the wrong way round; and nothing may have been reported of them.
fn may_be_swapped(entry: &FlowEntry) -> bool {
    entry.flags.has(FlowFlags::MIDSTREAM) && !entry.flags.has(FlowFlags::HAS_DETAIL)
}
