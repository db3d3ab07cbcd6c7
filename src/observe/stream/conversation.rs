//! The client's bytes of one flow, in order → messages, by the parser that its beginning asks for.

use super::ordered::{Ordered, Side};
use super::{Message, Segment, finish, settle};
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage};
use crate::protocol::http1::{self, Request, RequestStream};
use crate::protocol::tls::{self, HelloAssembler, ServerName};
use crate::protocol::{Progress, dns};

/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 2 << 10;

#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) stream: Ordered,
    /// What a name server answers.
    pub(super) answers: Ordered,
    pub(super) answers_known: bool,
    pub(super) parsers: Parsers,
}

/// One of them reads the stream; the others keep their memory for another flow.
#[derive(Debug, Default)]
pub(super) struct Parsers {
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) hello: HelloAssembler,
    pub(super) requests: RequestStream,
    pub(super) questions: Messages,
    pub(super) responses: Messages,
    pub(super) dns_port: bool,
    /// Something of the client was lost.
    pub(super) gaps: bool,
    /// What was held had to be dropped, so many times.
    pub(super) refused: u64,
}

/// DNS messages of one direction.
#[derive(Debug, Default)]
pub(super) struct Messages {
    assembler: dns::StreamAssembler,
    /// Bytes were lost: the next piece that can begin with a message is read on from.
    out_of_step: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Undecided,
    Hello,
    Requests,
    Dns,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    NeedMore,
    Done,
    Mismatch,
    NoRoom,
}

impl Conversation {
    pub(super) fn reset(&mut self, start: u32, segment: &Segment<'_>) {
        self.stream.reset(start);
        self.answers.reset(segment.acknowledgment.unwrap_or(0));
        self.answers_known = segment.acknowledgment.is_some();
        self.parsers.reset(segment.is_dns_port());
    }

    pub(super) fn held_bytes(&self) -> usize {
        let parsers = &self.parsers;
        [
            self.stream.held_bytes(),
            self.answers.held_bytes(),
            parsers.hello.held_bytes(),
            parsers.requests.held_bytes(),
            parsers.questions.assembler.held_bytes(),
            parsers.responses.assembler.held_bytes(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Gaps behind which requests, questions or answers wait that now nobody will read.
    pub(super) fn gaps_at_end(&self) -> u64 {
        let read_on = matches!(self.parsers.kind, Kind::Requests | Kind::Dns)
            && self.parsers.state == State::NeedMore;
        [&self.stream, &self.answers]
            .into_iter()
            .filter(|side| read_on && side.waits())
            .count() as u64
    }

    pub(super) fn shrink(&mut self) {
        self.stream.shrink(KEEP_BYTES);
        self.answers.shrink(KEEP_BYTES);
        self.parsers.hello.shrink(KEEP_BYTES);
        self.parsers.requests.shrink(KEEP_BYTES);
        self.parsers.questions.assembler.shrink(KEEP_BYTES);
        self.parsers.responses.assembler.shrink(KEEP_BYTES);
    }
}

impl Parsers {
    pub(super) fn reset(&mut self, dns_port: bool) {
        self.kind = Kind::Undecided;
        self.state = State::NeedMore;
        self.hello.reset();
        self.requests.reset();
        self.questions.reset();
        self.responses.reset();
        self.dns_port = dns_port;
        self.gaps = false;
        self.refused = 0;
    }

    /// Takes the next bytes of the client.
    pub(super) fn feed(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &[u8],
        room: usize,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if self.state != State::NeedMore {
            return;
        }
        if self.kind == Kind::Undecided {
            self.decide(entry, bytes);
        }
        match self.kind {
            Kind::Undecided => self.state = State::Mismatch,
            Kind::Hello => self.feed_hello(entry, bytes, room, show),
            Kind::Requests => {
                let mut each = |request: &Request<'_>| show(entry, Message::Request(request));
                if self.requests.feed(bytes, &mut each) == Progress::Mismatch {
                    self.state = State::Mismatch;
                } else if self.requests.after_connect() {
                    // What follows is another conversation, with whom the request said.
                    self.requests.reset();
                    self.kind = Kind::Undecided;
                } else if self.requests.held_bytes() > room {
                    self.refused = self.refused.saturating_add(1);
                    self.lost(1);
                }
            }
            Kind::Dns => {
                let mut each =
                    |message: &[u8]| show(entry, Message::Dns(Directed::FromInitiator, message));
                match self.questions.feed(bytes, room, &mut each) {
                    Fed::Taken => {}
                    Fed::NoRoom => self.refused = self.refused.saturating_add(1),
                    // Behind a gap it may only be out of step.
                    Fed::Mismatch if self.gaps => {}
                    Fed::Mismatch => self.state = State::Mismatch,
                }
            }
        }
    }

    fn decide(&mut self, entry: &mut FlowEntry, bytes: &[u8]) {
        let (kind, protocol) = if tls::begins_like_hello(bytes) {
            (Kind::Hello, AppProtocol::Tls)
        } else if http1::begins_like_request(bytes) {
            (Kind::Requests, AppProtocol::Http)
        } else if self.dns_port {
            settle(entry, Coverage::NameService);
            (Kind::Dns, AppProtocol::Dns)
        } else {
            return;
        };
        self.kind = kind;
        entry.set_app_protocol(protocol);
    }

    fn feed_hello(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &[u8],
        room: usize,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        if self.hello.held_bytes().saturating_add(bytes.len()) > room {
            self.state = State::NoRoom;
            return;
        }
        match self.hello.feed(bytes) {
            Progress::NeedMore => {}
            Progress::Mismatch => self.state = State::Mismatch,
            Progress::Done => {
                self.state = State::Done;
                match self.hello.hello() {
                    Some(hello) => conclude(entry, hello.server_name, hello.ech_offered, show),
                    None => finish(entry, Coverage::NoClientHello),
                }
            }
        }
    }

    /// So many bytes of the client will not come.
    pub(super) fn lost(&mut self, bytes: u32) {
        self.gaps = true;
        match self.kind {
            Kind::Requests => {
                // Out of step: the parser looks for the next request line.
                let _ = self.requests.skip(u64::from(bytes));
            }
            Kind::Dns => self.questions.lost(),
            Kind::Undecided | Kind::Hello => {}
        }
    }
}

/// What became of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    Taken,
    /// What is held would need more than there is room for, and was dropped.
    NoRoom,
    /// No message begins where one should.
    Mismatch,
}

impl Messages {
    fn reset(&mut self) {
        self.assembler.reset();
        self.out_of_step = false;
    }

    fn lost(&mut self) {
        self.assembler.reset();
        self.out_of_step = true;
    }

    /// Takes the next bytes; `room` is what may be held.
    fn feed(&mut self, bytes: &[u8], room: usize, each: &mut impl FnMut(&[u8])) -> Fed {
        if self.out_of_step {
            // A piece of two bytes or less would begin anything.
            if bytes.len() <= 2 || !dns::looks_like_stream(bytes) {
                return Fed::Taken;
            }
            self.out_of_step = false;
        }
        if self.assembler.feed(bytes, each) == Progress::Mismatch {
            self.lost();
            Fed::Mismatch
        } else if self.assembler.held_bytes() > room {
            self.lost();
            Fed::NoRoom
        } else {
            Fed::Taken
        }
    }
}

/// The side of the client.
pub(super) struct Client<'a, F> {
    pub(super) parsers: &'a mut Parsers,
    pub(super) entry: &'a mut FlowEntry,
    pub(super) room: usize,
    pub(super) show: &'a mut F,
}

impl<F: FnMut(&mut FlowEntry, Message<'_>)> Side for Client<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        self.parsers.feed(self.entry, bytes, self.room, self.show);
    }

    fn lost(&mut self, bytes: u32) {
        self.parsers.lost(bytes);
    }

    /// A hello that lacks a part is lost whole; requests and questions follow each other.
    fn reads_on(&self) -> bool {
        let parsers = &*self.parsers;
        matches!(parsers.kind, Kind::Requests | Kind::Dns) && parsers.state == State::NeedMore
    }
}

/// The side of a name server.
pub(super) struct NameServer<'a, F> {
    pub(super) parsers: &'a mut Parsers,
    pub(super) entry: &'a mut FlowEntry,
    pub(super) room: usize,
    pub(super) show: &'a mut F,
}

impl<F: FnMut(&mut FlowEntry, Message<'_>)> Side for NameServer<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        let (entry, show) = (&mut *self.entry, &mut *self.show);
        let mut each = |message: &[u8]| show(entry, Message::Dns(Directed::FromResponder, message));
        if self.parsers.responses.feed(bytes, self.room, &mut each) == Fed::NoRoom {
            self.parsers.refused = self.parsers.refused.saturating_add(1);
        }
    }

    fn lost(&mut self, _: u32) {
        self.parsers.responses.lost();
    }

    fn reads_on(&self) -> bool {
        true
    }
}

/// The hello was read: what it means for the flow.
#[inline]
pub(in crate::observe) fn conclude(
    entry: &mut FlowEntry,
    server_name: ServerName<'_>,
    ech_offered: bool,
    show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
) {
    if ech_offered {
        entry.flags.set(FlowFlags::ECH_OFFERED);
    }
    match server_name {
        ServerName::Name(name) => {
            entry.flags.set(FlowFlags::INSPECTED);
            show(entry, Message::ServerName(name));
        }
        ServerName::Address(_) => finish(entry, Coverage::SniIsAddress),
        ServerName::Absent | ServerName::TooLong if ech_offered => {
            finish(entry, Coverage::EchOffered);
        }
        ServerName::Absent | ServerName::TooLong => finish(entry, Coverage::SniAbsent),
    }
}
