//! A stream that was begun on: its segments put in order and given to whoever reads them, until there is nothing more to read.

use super::conversation::{Client, Conversation, Kind, NameServer, State};
use super::decrypted::TlsServer;
use super::signs::{may_ask_for_tls, recognised, unrecognised};
use super::{Message, Segment, StreamReader};
use crate::flow::{Delivery, Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage};
use crate::observe::hello::{finish, settle};
use crate::protocol::http1;

impl StreamReader {
    /// Begins to read a stream.
    pub(super) fn open(
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

    /// Whether there is a place for one flow more.
    pub(super) fn has_place(&self) -> bool {
        self.conversations.in_use() < self.limits.handshakes_max
    }

    /// A place for the flow; `None`, counted, if there is none.
    pub(super) fn place(
        &mut self,
        entry: &mut FlowEntry,
        place: &mut Option<u32>,
        segment: &Segment<'_>,
    ) -> Option<u32> {
        if !self.has_place() {
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

    pub(super) fn go_on(
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
            stream,
            answers,
            answers_known,
            parsers,
        } = open;
        let before = parsers.kind;
        let mut client = Client {
            room: room
                .saturating_add(held_before)
                .saturating_sub(stream.held_bytes()),
            parsers,
            entry,
            decryption: &mut self.decryption,
            show,
        };
        let gaps = &mut self.counters.gaps;
        let delivery = stream.take(&segment, &self.limits.stream, room, gaps, &mut client);
        let (kind, state) = (parsers.kind, parsers.state);
        if kind == Kind::Encrypted && before != kind {
            // What the client had of its server when its hello was whole: the server's hello comes next.
            answers.reset(segment.acknowledgment.unwrap_or(0));
            *answers_known = segment.acknowledgment.is_some();
            if segment.sequence != entry.stream_start {
                self.counters.reassembled = self.counters.reassembled.saturating_add(1);
            }
        }
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
                Kind::Requests
                | Kind::Dns
                | Kind::Http2
                | Kind::Socks
                | Kind::Watch
                | Kind::Encrypted,
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

    /// What the server of a conversation sends; name servers are listened to, and those of TLS whose secrets are known.
    pub(super) fn answer(
        &mut self,
        entry: &mut FlowEntry,
        number: u32,
        segment: Segment<'_>,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        let Some(open) = self.conversations.get_mut(number) else {
            return;
        };
        let wanted = match open.parsers.kind {
            Kind::Dns => true,
            Kind::Encrypted => open.parsers.wants_server(),
            _ => false,
        };
        if !wanted {
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
        let gaps = &mut self.counters.gaps;
        if parsers.kind == Kind::Encrypted {
            let Some(decrypted) = parsers.decrypted.as_deref_mut() else {
                return;
            };
            let mut server = TlsServer {
                decrypted,
                entry,
                counters: &mut self.decryption.counters,
                show,
            };
            // Losing the server's side costs the certificate; no gap is counted for it.
            let delivery = answers.take(&segment, &self.limits.stream, room, &mut 0, &mut server);
            return self.account(number, held_before, u64::from(delivery == Delivery::NoRoom));
        }
        let mut server = NameServer {
            room: room
                .saturating_add(held_before)
                .saturating_sub(answers.held_bytes()),
            parsers,
            entry,
            show,
        };
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

    pub(super) fn give_up(&mut self, entry: &mut FlowEntry, place: &mut Option<u32>) {
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
        // Its end is no mismatch.
        Kind::Encrypted => entry.flags.set(FlowFlags::INSPECTED),
        Kind::Undecided | Kind::Socks => {
            if !recognised(entry, Directed::FromInitiator, segment) {
                finish(entry, unrecognised(segment.payload));
            }
            entry.flags.set(FlowFlags::INSPECTED);
        }
    }
}
