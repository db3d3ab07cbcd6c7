//! The client's bytes of one flow, in order → messages, by the parser that its beginning asks for.

use super::{Message, Segment, finish, settle};
use crate::flow::{Directed, FlowEntry, FlowFlags, TcpStream};
use crate::model::{AppProtocol, Coverage, Timestamp};
use crate::protocol::http1::{self, Request, RequestStream};
use crate::protocol::tls::{self, HelloAssembler, ServerName};
use crate::protocol::{Progress, dns};

/// A buffer that grew beyond this is given back to the system when its flow is done with it.
const KEEP_BYTES: usize = 2 << 10;

#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) stream: TcpStream,
    /// What a name server answers.
    pub(super) answers: TcpStream,
    pub(super) answers_known: bool,
    pub(super) parsers: Parsers,
    /// When the gap began that segments wait for.
    pub(super) gap_since: Option<Timestamp>,
}

/// One of them reads the stream; the others keep their memory for another flow.
#[derive(Debug, Default)]
pub(super) struct Parsers {
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) hello: HelloAssembler,
    pub(super) requests: RequestStream,
    pub(super) questions: dns::StreamAssembler,
    pub(super) responses: dns::StreamAssembler,
    pub(super) dns_port: bool,
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
        self.gap_since = None;
        self.parsers.reset(segment.is_dns_port());
    }

    pub(super) fn held_bytes(&self) -> usize {
        let parsers = &self.parsers;
        [
            self.stream.held_bytes(),
            self.answers.held_bytes(),
            parsers.hello.held_bytes(),
            parsers.requests.held_bytes(),
            parsers.questions.held_bytes(),
            parsers.responses.held_bytes(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    pub(super) fn shrink(&mut self) {
        self.stream.shrink(KEEP_BYTES);
        self.answers.shrink(KEEP_BYTES);
        self.parsers.hello.shrink(KEEP_BYTES);
        self.parsers.requests.shrink(KEEP_BYTES);
        self.parsers.questions.shrink(KEEP_BYTES);
        self.parsers.responses.shrink(KEEP_BYTES);
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
    }

    /// A hello that lacks a part is lost whole; requests and questions follow each other.
    pub(super) fn reads_on_behind_gaps(&self) -> bool {
        matches!(self.kind, Kind::Requests | Kind::Dns) && self.state == State::NeedMore
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
                }
            }
            Kind::Dns => {
                let mut each =
                    |message: &[u8]| show(entry, Message::Dns(Directed::FromInitiator, message));
                if self.questions.feed(bytes, &mut each) == Progress::Mismatch {
                    self.state = State::Mismatch;
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
        match self.kind {
            Kind::Requests => {
                // Out of step: the parser looks for the next request line.
                let _ = self.requests.skip(u64::from(bytes));
            }
            Kind::Dns => self.questions.reset(),
            Kind::Undecided | Kind::Hello => {}
        }
    }
}

/// The hello was read: what it means for the flow.
#[inline]
pub(super) fn conclude(
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
