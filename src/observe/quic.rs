//! Datagrams of a QUIC flow → the server name in its client's hello.
//!
//! Most hellos come in one datagram and need no place; others wait in one until they are whole. A flow is a pair of addresses and
//! ports: what a client says after it moved to another address is another flow, and its hello is not repeated there.

mod opening;

use super::Slab;
use super::hello::{conclude_name, finish, settle};
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage};
use crate::protocol::quic::{Client, Look, Opener, Taken, Version, may_be_first};
use crate::protocol::tls::{ClientHello, ServerName};

pub use opening::{Opening, may_begin_another};

/// Datagrams without anything that could be opened that are looked at in a flow: 0-RTT packets, and what the server sends, may come
/// before the hello.
const LOOKS_MAX: u8 = 16;
/// And while part of a hello waits for the rest: clients send some 0-RTT packets between, servers what they have.
const WAITING_LOOKS_MAX: u8 = 64;
/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 4 << 10;

/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicLimits {
    /// Hellos that wait for the rest of them at a time.
    pub hellos_max: usize,
    /// Bytes held by all of them.
    pub bytes_max: usize,
    /// Initial packets that are opened in one flow.
    pub initials_per_flow_max: u16,
}

/// What was opened and what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuicCounters {
    /// Initial packets of clients that were opened, and Google's packets in clear whose hash held.
    pub opened: u64,
    /// Datagrams with an Initial that no known key opens.
    pub undecryptable: u64,
    /// Hellos that needed more than one datagram.
    pub reassembled: u64,
    /// Hellos that found no place among [`QuicLimits::hellos_max`].
    pub refused_hellos: u64,
    /// Pieces of a hello that found no room: [`QuicLimits::bytes_max`], or the bounds of one hello.
    pub refused_pieces: u64,
    /// Given up: a part of the hello never came while the flow went on, or it took more than
    /// [`QuicLimits::initials_per_flow_max`].
    pub given_up: u64,
    /// Datagrams that may have begun another connection between the same ports, and were not tried any more.
    pub untried: u64,
}

/// A hello that waits for the rest of it.
#[derive(Debug, Default)]
struct Waiting {
    client: Client,
    initials: u16,
}

/// Reads the QUIC flows of one shard.
#[derive(Debug)]
pub struct QuicReader {
    waiting: Slab<Waiting>,
    /// Where a flow's first datagram is read.
    fresh: Client,
    opener: Opener,
    held_bytes: usize,
    limits: QuicLimits,
    counters: QuicCounters,
}

/// What is known of a flow beside its entry.
#[derive(Clone, Copy, Debug)]
pub struct QuicFlow {
    /// Its place in here, if it has one.
    pub place: Option<u32>,
    /// Whether nothing was told of it yet but that it began: then its sides can still be taken the other way round.
    pub may_be_swapped: bool,
    /// How its connection began.
    pub opening: Opening,
}

/// What a client said first.
#[derive(Clone, Copy, Debug)]
pub enum QuicHello<'a> {
    /// A hello of TLS.
    Tls(&'a ClientHello<'a>),
    /// The server name in a hello of Google's own handshake.
    Google(&'a [u8]),
}

/// A datagram of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Which way it goes.
    pub direction: Directed,
    /// What it carries.
    pub payload: &'a [u8],
    /// Whether the capture left out its end.
    pub cut: bool,
}

impl QuicReader {
    /// A reader with these bounds.
    pub fn new(limits: QuicLimits) -> Self {
        Self {
            waiting: Slab::default(),
            fresh: Client::default(),
            opener: Opener::default(),
            held_bytes: 0,
            limits,
            counters: QuicCounters::default(),
        }
    }

    /// What was opened and refused so far.
    pub fn counters(&self) -> QuicCounters {
        self.counters
    }

    /// Whether a datagram of no known protocol is QUIC of a version that nobody announced: its Initial opens with a known salt.
    /// It is then to be taken by [`Self::datagram`].
    pub fn is_unannounced(&mut self, payload: &[u8]) -> bool {
        if !may_be_first(payload) {
            return false;
        }
        self.fresh.reset();
        let room = self.room(0);
        self.fresh.take(&mut self.opener, payload, room).opened > 0
    }

    /// Takes a datagram of a QUIC flow that is not [`FlowFlags::INSPECTED`]; `show` is given the hello and the version. Why there is
    /// none, the flow's coverage says.
    pub fn datagram(
        &mut self,
        entry: &mut FlowEntry,
        flow: &mut QuicFlow,
        datagram: &Datagram<'_>,
        show: &mut impl FnMut(&mut FlowEntry, QuicHello<'_>, Version),
    ) {
        match flow.place {
            Some(number) => self.go_on(entry, flow, number, datagram, show),
            None => self.begin(entry, flow, datagram, show),
        }
    }

    /// The flow is over, or named: gives its place back.
    pub fn close(&mut self, place: Option<u32>) {
        let Some(number) = place else { return };
        if let Some(waiting) = self.waiting.get_mut(number) {
            self.held_bytes = self.held_bytes.saturating_sub(waiting.client.held_bytes());
            waiting.client.shrink(KEEP_BYTES);
        }
        self.waiting.give_back(number);
    }

    /// A datagram of a flow of which nothing was opened yet.
    fn begin(
        &mut self,
        entry: &mut FlowEntry,
        flow: &mut QuicFlow,
        datagram: &Datagram<'_>,
        show: &mut impl FnMut(&mut FlowEntry, QuicHello<'_>, Version),
    ) {
        let room = self.room(0);
        self.fresh.reset();
        let taken = self.fresh.take(&mut self.opener, datagram.payload, room);
        self.count(taken);
        if taken.opened == 0 {
            if datagram.cut && (taken.cut || taken.undecryptable) {
                settle(entry, Coverage::Truncated);
            }
            return look_again(entry, LOOKS_MAX);
        }
        // Only a client's packets open with a client's keys.
        if datagram.direction == Directed::FromResponder {
            if !flow.may_be_swapped {
                return finish(entry, Coverage::QuicUndecryptable);
            }
            entry.swap_sides();
        }
        flow.opening.learn(&self.fresh);
        if decide(entry, &self.fresh, show) {
            return;
        }
        // Until the hello is whole, part of it is missing.
        settle(entry, Coverage::Lost);
        if self.waiting.in_use() >= self.limits.hellos_max {
            self.counters.refused_hellos = self.counters.refused_hellos.saturating_add(1);
            return finish(entry, Coverage::Lost);
        }
        let number = self.waiting.take();
        if let Some(waiting) = self.waiting.get_mut(number) {
            std::mem::swap(&mut waiting.client, &mut self.fresh);
            waiting.initials = u16::from(taken.opened);
            self.held_bytes = self.held_bytes.saturating_add(waiting.client.held_bytes());
        }
        entry.looked_at = 0;
        flow.place = Some(number);
    }

    /// A datagram of a flow whose hello waits for the rest of it.
    fn go_on(
        &mut self,
        entry: &mut FlowEntry,
        flow: &mut QuicFlow,
        number: u32,
        datagram: &Datagram<'_>,
        show: &mut impl FnMut(&mut FlowEntry, QuicHello<'_>, Version),
    ) {
        let held_bytes = self.held_bytes;
        let Some(waiting) = self.waiting.get_mut(number) else {
            return;
        };
        let mut taken = Taken::default();
        if datagram.direction == Directed::FromInitiator {
            let before = waiting.client.held_bytes();
            let others = held_bytes.saturating_sub(before);
            let room = self.limits.bytes_max.saturating_sub(others);
            taken = waiting
                .client
                .take(&mut self.opener, datagram.payload, room);
            waiting.initials = waiting.initials.saturating_add(u16::from(taken.opened));
            self.held_bytes = others.saturating_add(waiting.client.held_bytes());
        }
        if taken.opened > 0 {
            flow.opening.learn(&waiting.client);
        }
        let is_done = taken.opened > 0 && decide(entry, &waiting.client, show);
        let is_too_much = waiting.initials >= self.limits.initials_per_flow_max;
        self.count(taken);
        if is_done {
            self.counters.reassembled = self.counters.reassembled.saturating_add(1);
        } else {
            if taken.opened == 0 {
                look_again(entry, WAITING_LOOKS_MAX);
            }
            if is_too_much {
                finish(entry, Coverage::Lost);
            }
            if !entry.flags.has(FlowFlags::INSPECTED) {
                return;
            }
            self.counters.given_up = self.counters.given_up.saturating_add(1);
        }
        self.close(flow.place.take());
    }

    /// What a hello may hold that holds so much already.
    fn room(&self, held: usize) -> usize {
        let others = self.held_bytes.saturating_sub(held);
        self.limits.bytes_max.saturating_sub(others)
    }

    fn count(&mut self, taken: Taken) {
        let counters = &mut self.counters;
        counters.opened = counters.opened.saturating_add(u64::from(taken.opened));
        let undecryptable = u64::from(taken.undecryptable);
        counters.undecryptable = counters.undecryptable.saturating_add(undecryptable);
        let refused = u64::from(taken.refused_pieces);
        counters.refused_pieces = counters.refused_pieces.saturating_add(refused);
    }
}

/// Whether the hello is whole, or can be none: what that means for the flow.
fn decide(
    entry: &mut FlowEntry,
    client: &Client,
    show: &mut impl FnMut(&mut FlowEntry, QuicHello<'_>, Version),
) -> bool {
    entry.set_app_protocol(AppProtocol::Quic);
    match client.look() {
        Look::Begins => return false,
        Look::Other => finish(entry, Coverage::NoClientHello),
        Look::Hello(hello) => {
            conclude_name(entry, hello.server_name, hello.ech_offered);
            show(entry, QuicHello::Tls(&hello), client.version());
        }
        Look::GoogleHello(server_name) => {
            conclude_name(entry, server_name, false);
            if let ServerName::Name(name) = server_name {
                show(entry, QuicHello::Google(name), client.version());
            }
        }
    }
    true
}

/// One more datagram that told nothing; after some, nothing more is expected.
fn look_again(entry: &mut FlowEntry, most: u8) {
    entry.looked_at = entry.looked_at.saturating_add(1);
    if entry.looked_at >= most {
        entry.flags.set(FlowFlags::INSPECTED);
    }
}
