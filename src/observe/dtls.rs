//! Datagrams of a DTLS flow → its client's hello, also from fragments over several datagrams.

use super::hello::{conclude, finish, settle};
use super::{Message, Slab};
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::Coverage;
use crate::protocol::Progress;
use crate::protocol::dtls::{DtlsHello, Fragment, client_hello_fragments};
use crate::protocol::tls::{ClientHello, HelloTransport};

/// Datagrams of a flow that are looked at for a hello, or for what is missing of one. A post-quantum hello is two or three.
const LOOKS_MAX: u8 = 32;
/// Where none of so many has a piece of one, the flow is past its beginning.
const LOOKS_WITHOUT_MAX: u8 = 4;
/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 2 << 10;

/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsLimits {
    /// Hellos put together at a time.
    pub hellos_max: usize,
    /// Bytes held by all of them.
    pub bytes_max: usize,
}

/// What was read of DTLS, and what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DtlsCounters {
    /// Hellos read.
    pub hellos: u64,
    /// Of these, those that came in pieces.
    pub reassembled: u64,
    /// Pieces that found no room, and those that contradict the hello they are of.
    pub refused: u64,
    /// Hellos of which a piece never came.
    pub given_up: u64,
}

/// Reads the DTLS flows of one shard.
#[derive(Debug)]
pub struct DtlsReader {
    hellos: Slab<DtlsHello>,
    held_bytes: usize,
    limits: DtlsLimits,
    counters: DtlsCounters,
}

impl DtlsReader {
    /// A reader with these bounds.
    pub fn new(limits: DtlsLimits) -> Self {
        Self {
            hellos: Slab::default(),
            held_bytes: 0,
            limits,
            counters: DtlsCounters::default(),
        }
    }

    /// What was read and refused so far.
    pub fn counters(&self) -> DtlsCounters {
        self.counters
    }

    /// Takes a datagram of a DTLS flow that is not inspected yet. `place` is the flow's place in here, if it has one.
    pub fn datagram(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        direction: Directed,
        payload: &[u8],
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        for fragment in client_hello_fragments(payload) {
            if direction == Directed::FromResponder {
                // The client is who says hello; where something was told of the flow already the sides stay.
                if entry.flags.has(FlowFlags::HAS_DETAIL) {
                    break;
                }
                entry.swap_sides();
            }
            self.fragment(entry, place, &fragment, show);
            if entry.flags.has(FlowFlags::INSPECTED) {
                return;
            }
        }
        entry.looked_at = entry.looked_at.saturating_add(1);
        let most = if place.is_some() {
            LOOKS_MAX
        } else {
            LOOKS_WITHOUT_MAX
        };
        if entry.looked_at >= most {
            self.close(place.take());
            entry.flags.set(FlowFlags::INSPECTED);
        }
    }

    /// The flow is over, or nothing more is expected of it: gives its place back.
    pub fn close(&mut self, place: Option<u32>) {
        if let Some(number) = place {
            self.counters.given_up = self.counters.given_up.saturating_add(1);
            self.give_back(number);
        }
    }

    fn give_back(&mut self, number: u32) {
        if let Some(hello) = self.hellos.get_mut(number) {
            self.held_bytes = self.held_bytes.saturating_sub(hello.held_bytes());
            hello.shrink(KEEP_BYTES);
        }
        self.hellos.give_back(number);
    }

    fn fragment(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        fragment: &Fragment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if fragment.is_whole() && place.is_none() {
            match ClientHello::of_body(fragment.bytes, HelloTransport::Dtls) {
                Some(hello) => {
                    self.counters.hellos = self.counters.hellos.saturating_add(1);
                    conclude(entry, &hello, show);
                }
                None => finish(entry, Coverage::NoClientHello),
            }
            return;
        }
        let Some(number) = self.place(place, fragment) else {
            self.counters.refused = self.counters.refused.saturating_add(1);
            settle(entry, Coverage::Lost);
            return;
        };
        let Some(hello) = self.hellos.get_mut(number) else {
            return;
        };
        let held_before = hello.held_bytes();
        let progress = hello.feed(fragment);
        self.held_bytes = self
            .held_bytes
            .saturating_sub(held_before)
            .saturating_add(hello.held_bytes());
        match (progress, hello.hello()) {
            (Progress::Done, Some(read)) => {
                self.counters.hellos = self.counters.hellos.saturating_add(1);
                self.counters.reassembled = self.counters.reassembled.saturating_add(1);
                conclude(entry, &read, show);
                *place = None;
                self.give_back(number);
            }
            (Progress::Mismatch, _) => {
                self.counters.refused = self.counters.refused.saturating_add(1);
                settle(entry, Coverage::Lost);
            }
            // Until it is whole, part of it is missing.
            _ => settle(entry, Coverage::Lost),
        }
    }

    fn place(&mut self, place: &mut Option<u32>, fragment: &Fragment<'_>) -> Option<u32> {
        let room = self.limits.bytes_max.saturating_sub(self.held_bytes);
        let held = place
            .and_then(|number| self.hellos.get(number))
            .map_or(0, DtlsHello::held_bytes);
        if fragment.message_len as usize > room.saturating_add(held) {
            return None;
        }
        if place.is_none() {
            if self.hellos.in_use() >= self.limits.hellos_max {
                return None;
            }
            let number = self.hellos.take();
            if let Some(fresh) = self.hellos.get_mut(number) {
                fresh.reset();
            }
            *place = Some(number);
        }
        *place
    }
}
