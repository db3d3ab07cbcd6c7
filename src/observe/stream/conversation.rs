//! The client's bytes of one flow, in order → messages, by the parser that its beginning asks for.

use super::beginnings::{Choice, Head, Place, choose};
use super::decrypted::{Decrypted, Decryption};
use super::ordered::{Ordered, Side};
use super::{Message, Segment, coverage_of, finish, settle, unrecognised};
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage, DecryptFailure};
use crate::observe::hello::conclude;
use crate::protocol::http1::{Request, RequestStream};
use crate::protocol::http2::Http2Client;
use crate::protocol::socks::{self, SocksClient};
use crate::protocol::starttls::{Style, TlsWatch, Watched, style_of};
use crate::protocol::tls::HelloAssembler;
use crate::protocol::{Progress, dns};

/// Bytes of a client that are watched for TLS to begin: it is asked for among a session's first commands, and the longest of
/// those, lists of capabilities and tokens of authentication, have some hundred bytes.
pub(super) const WATCHED_BYTES_MAX: u32 = 8 << 10;

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
    http2: Http2Client,
    socks: SocksClient,
    watch: TlsWatch,
    head: Head,
    place: Place,
    pub(super) questions: Messages,
    pub(super) responses: Messages,
    /// A session of TLS whose secrets are known; its memory comes with the first.
    pub(super) decrypted: Option<Box<Decrypted>>,
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
    /// Behind the hello, with secrets that open it.
    Encrypted,
    Requests,
    Http2,
    Socks,
    /// Of a protocol that may ask for TLS.
    Watch,
    Dns,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    NeedMore,
    Done,
    Mismatch,
    NoRoom,
    /// Nothing more will come that names anybody.
    Ended,
    /// TLS was watched for long enough.
    Exhausted,
}

impl Conversation {
    pub(super) fn reset(&mut self, start: u32, segment: &Segment<'_>) {
        self.stream.reset(start);
        self.answers.reset(segment.acknowledgment.unwrap_or(0));
        self.answers_known = segment.acknowledgment.is_some();
        self.parsers.reset(Place {
            ports: (segment.source_port, segment.destination_port),
            dns_port: segment.is_dns_port(),
            inside: false,
        });
    }

    pub(super) fn held_bytes(&self) -> usize {
        let parsers = &self.parsers;
        [
            self.stream.held_bytes(),
            self.answers.held_bytes(),
            parsers.hello.held_bytes(),
            parsers.requests.held_bytes(),
            parsers.http2.held_bytes(),
            parsers.questions.assembler.held_bytes(),
            parsers.responses.assembler.held_bytes(),
            match (parsers.kind, &parsers.decrypted) {
                (Kind::Encrypted, Some(decrypted)) => decrypted.held_bytes(),
                _ => 0,
            },
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Gaps behind which requests, questions or answers wait that now nobody will read.
    pub(super) fn gaps_at_end(&self) -> u64 {
        let read_on = self.parsers.reads_on(None);
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
        self.parsers.http2.shrink(KEEP_BYTES);
        self.parsers.questions.assembler.shrink(KEEP_BYTES);
        self.parsers.responses.assembler.shrink(KEEP_BYTES);
        if let Some(decrypted) = &mut self.parsers.decrypted {
            decrypted.shrink(KEEP_BYTES);
        }
    }
}

impl Parsers {
    fn reset(&mut self, place: Place) {
        self.kind = Kind::Undecided;
        self.state = State::NeedMore;
        self.hello.reset();
        self.requests.reset();
        self.http2.reset();
        self.socks.reset();
        self.head = Head::default();
        self.place = place;
        self.questions.reset();
        self.responses.reset();
        self.gaps = false;
        self.refused = 0;
    }

    /// Takes the next bytes of the client.
    pub(super) fn feed(
        &mut self,
        entry: &mut FlowEntry,
        mut bytes: &[u8],
        room: usize,
        decryption: &mut Decryption,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) {
        while self.state == State::NeedMore && !bytes.is_empty() {
            if self.kind == Kind::Undecided {
                let Some(rest) = self.decide(entry, bytes) else {
                    return;
                };
                bytes = rest;
                let head = std::mem::take(&mut self.head);
                if !head.bytes().is_empty() {
                    // No more than was needed to decide: no message ends in it.
                    self.step(entry, head.bytes(), room, decryption, show);
                    continue;
                }
            }
            bytes = self.step(entry, bytes, room, decryption, show);
        }
    }

    /// Gives bytes to the parser that was decided on; what is not its own is given back.
    fn step<'a>(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &'a [u8],
        room: usize,
        decryption: &mut Decryption,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) -> &'a [u8] {
        match self.kind {
            Kind::Undecided => self.state = State::Mismatch,
            Kind::Hello => return self.feed_hello(entry, bytes, room, decryption, show),
            Kind::Encrypted => {
                let counters = &mut decryption.counters;
                let reads_on = self
                    .decrypted
                    .as_mut()
                    .is_some_and(|it| it.client(entry, bytes, room, counters, show));
                if !reads_on {
                    self.state = State::Ended;
                }
            }
            Kind::Requests => {
                let mut each = |request: &Request<'_>| show(entry, Message::Request(request));
                let (progress, rest) = self.requests.read(bytes, &mut each);
                if progress == Progress::Mismatch {
                    self.state = State::Mismatch;
                } else if self.requests.at_another_protocol() {
                    // What follows is another conversation, with whom the request said, or another request if it was refused.
                    self.requests.reset();
                    self.go_inside();
                    return rest;
                } else if self.requests.held_bytes() > room {
                    self.refused = self.refused.saturating_add(1);
                    self.lost(1, None, decryption);
                }
            }
            Kind::Http2 => {
                let mut each = |request: &Request<'_>| show(entry, Message::Request(request));
                if self.http2.feed(bytes, &mut each) == Progress::Mismatch {
                    self.state = State::Mismatch;
                } else if self.http2.held_bytes() > room {
                    self.state = State::NoRoom;
                }
            }
            Kind::Socks => return self.feed_socks(entry, bytes, show),
            Kind::Watch => {
                let (watched, rest) = self.watch.feed(bytes);
                match watched {
                    Watched::Nothing => {}
                    Watched::Ended => self.state = State::Ended,
                    Watched::Exhausted => self.state = State::Exhausted,
                    Watched::Tls => {
                        self.kind = Kind::Hello;
                        entry.set_app_protocol(AppProtocol::Tls);
                        settle(entry, Coverage::Lost);
                        return rest;
                    }
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
        &[]
    }

    /// Decides who reads on, by as many bytes as that takes; the rest of them. `None`: nobody, or not yet.
    fn decide<'a>(&mut self, entry: &mut FlowEntry, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        let mut choice = Choice::Wait;
        if self.head.bytes().is_empty() {
            choice = choose(bytes, entry.app_protocol(), self.place);
        }
        while choice == Choice::Wait
            && let Some((byte, behind)) = rest.split_first()
        {
            rest = behind;
            choice = if self.head.push(*byte) {
                choose(self.head.bytes(), entry.app_protocol(), self.place)
            } else {
                Choice::Nobody
            };
        }
        let (kind, protocol) = match choice {
            Choice::Wait => return None,
            Choice::Nobody => {
                self.state = State::Mismatch;
                return None;
            }
            Choice::Hello => (Kind::Hello, Some(AppProtocol::Tls)),
            Choice::Requests => (Kind::Requests, Some(AppProtocol::Http)),
            Choice::Http2 => (Kind::Http2, Some(AppProtocol::Http2)),
            // Too little to say so yet.
            Choice::Socks => (Kind::Socks, None),
            Choice::Watch(protocol, style) => {
                self.watch.begin(style, WATCHED_BYTES_MAX);
                settle(
                    entry,
                    protocol.map_or_else(|| unrecognised(bytes), coverage_of),
                );
                (Kind::Watch, protocol)
            }
            Choice::Dns => {
                settle(entry, Coverage::NameService);
                (Kind::Dns, Some(AppProtocol::Dns))
            }
        };
        self.kind = kind;
        if let Some(protocol) = protocol {
            entry.set_app_protocol(protocol);
        }
        Some(rest)
    }

    /// What follows is inside a tunnel, or another protocol.
    fn go_inside(&mut self) {
        self.kind = Kind::Undecided;
        self.place.inside = true;
    }

    fn feed_socks<'a>(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &'a [u8],
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) -> &'a [u8] {
        let (progress, rest) = self.socks.feed(bytes);
        if self.socks.is_sure() {
            entry.set_app_protocol(AppProtocol::Socks);
            settle(entry, Coverage::Proxied);
        }
        match progress {
            Progress::NeedMore => {}
            Progress::Mismatch => self.state = State::Mismatch,
            Progress::Done => {
                if let Some(request) = self.socks.request() {
                    show(entry, Message::Socks(&request));
                    if request.command == socks::Command::UdpAssociate {
                        self.state = State::Ended;
                    }
                }
                self.socks.reset();
                self.go_inside();
            }
        }
        rest
    }

    fn feed_hello<'a>(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &'a [u8],
        room: usize,
        decryption: &mut Decryption,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) -> &'a [u8] {
        if self.hello.held_bytes().saturating_add(bytes.len()) > room {
            self.state = State::NoRoom;
            return &[];
        }
        let (progress, rest) = self.hello.read(bytes);
        match progress {
            Progress::NeedMore => {}
            Progress::Mismatch => self.state = State::Mismatch,
            Progress::Done => {
                self.state = State::Done;
                match self.hello.hello() {
                    Some(hello) => {
                        conclude(entry, &hello, show);
                        if decryption.keys.is_some()
                            && decryption.begin(&hello, &mut self.decrypted)
                        {
                            entry.flags.clear(FlowFlags::INSPECTED);
                            self.kind = Kind::Encrypted;
                            self.state = State::NeedMore;
                            return rest;
                        }
                    }
                    None => finish(entry, Coverage::NoClientHello),
                }
            }
        }
        &[]
    }

    /// So many bytes of the client will not come; `known` is what its server was recognised by.
    fn lost(&mut self, bytes: u32, known: Option<AppProtocol>, decryption: &mut Decryption) {
        self.gaps = true;
        match self.kind {
            Kind::Requests => {
                // Out of step: the parser looks for the next request line.
                let _ = self.requests.skip(u64::from(bytes));
            }
            Kind::Http2 => {
                if !self.http2.skip(bytes) {
                    self.state = State::Mismatch;
                }
            }
            Kind::Dns => self.questions.lost(),
            Kind::Watch => self.watch.lost(),
            // What there was to be read before TLS begins is gone; TLS may yet come.
            Kind::Socks | Kind::Undecided => {
                let style = known.and_then(style_of).filter(|_| !self.place.inside);
                self.kind = Kind::Watch;
                self.watch
                    .begin(style.unwrap_or(Style::Unknown), WATCHED_BYTES_MAX);
                self.watch.lost();
            }
            Kind::Hello => {}
            // The next record cannot be told from others, nor its number: what follows stays closed.
            Kind::Encrypted => {
                decryption.counters.fail(DecryptFailure::Lost);
                self.state = State::Ended;
            }
        }
    }

    /// Whether what the server of an encrypted session says is still of use.
    pub(super) fn wants_server(&self) -> bool {
        self.decrypted
            .as_ref()
            .is_some_and(|decrypted| !decrypted.server_is_done())
    }

    /// Whether what comes behind a gap can be read without what was in it: a hello that lacks a part is lost whole; requests and
    /// questions follow each other, and behind what is not TLS yet, TLS may begin.
    fn reads_on(&self, known: Option<AppProtocol>) -> bool {
        let may_follow = match self.kind {
            Kind::Requests
            | Kind::Http2
            | Kind::Socks
            | Kind::Watch
            | Kind::Dns
            | Kind::Encrypted => true,
            Kind::Undecided => self.place.inside || known.and_then(style_of).is_some(),
            Kind::Hello => false,
        };
        may_follow && self.state == State::NeedMore
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
    pub(super) decryption: &'a mut Decryption,
    pub(super) show: &'a mut F,
}

impl<F: FnMut(&mut FlowEntry, Message<'_>)> Side for Client<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        let decryption = &mut *self.decryption;
        self.parsers
            .feed(self.entry, bytes, self.room, decryption, self.show);
    }

    fn lost(&mut self, bytes: u32) {
        let known = self.entry.app_protocol();
        self.parsers.lost(bytes, known, self.decryption);
    }

    fn reads_on(&self) -> bool {
        self.parsers.reads_on(self.entry.app_protocol())
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
