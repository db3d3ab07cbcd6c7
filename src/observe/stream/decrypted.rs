//! TLS sessions whose secrets are known → the requests inside them.
//!
//! Nothing here is asked while no secret is known. A session takes the place that its client's stream has, and keeps it to the end of
//! the session.

use std::sync::Arc;

use super::beginnings::{Choice, Head, Place, choose};
use super::ordered::Side;
use super::{Inside, Message};
use crate::flow::FlowEntry;
use crate::model::{AppProtocol, DecryptFailure};
use crate::protocol::Progress;
use crate::protocol::decrypt::{KeyStore, Session, ShownCertificate};
use crate::protocol::http1::{Request, RequestStream};
use crate::protocol::http2::Http2Client;
use crate::protocol::tls::{Certificate, ClientHello};

/// What became of sessions, while any secret is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecryptCounters {
    /// Hellos over TCP: the sessions that could be read if their secrets were known.
    pub sessions: u64,
    /// Of these: something that the client said inside was read.
    pub opened: u64,
    /// Of these: data that the client sent before its server answered was passed over.
    pub early_data: u64,
    /// Requests inside.
    pub requests: u64,
    /// Certificates that servers of TLS 1.3 showed.
    pub certificates: u64,
    /// Sessions that were not read, or not to their end, by reason; at most one of each.
    pub failures: [u64; DecryptFailure::COUNT],
}

impl DecryptCounters {
    pub(super) fn fail(&mut self, failure: DecryptFailure) {
        if let Some(count) = self.failures.get_mut(failure.index()) {
            *count = count.saturating_add(1);
        }
    }
}

impl std::ops::AddAssign for DecryptCounters {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.sessions, other.sessions),
            (&mut self.opened, other.opened),
            (&mut self.early_data, other.early_data),
            (&mut self.requests, other.requests),
            (&mut self.certificates, other.certificates),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            *sum = sum.saturating_add(more);
        }
    }
}

/// Whose secrets are known, how many sessions are read, and what became of them.
#[derive(Debug, Default)]
pub(super) struct Decryption {
    /// `None` while there are no secrets.
    pub(super) keys: Option<Arc<KeyStore>>,
    pub(super) counters: DecryptCounters,
    pub(super) sessions: usize,
    pub(super) sessions_max: usize,
}

impl Decryption {
    /// Whether the session that a hello begins can be read. If not, that is counted: it is asked once for each hello.
    #[inline]
    pub(super) fn admits(&mut self, hello: &ClientHello<'_>, has_place: bool) -> bool {
        let Some(keys) = &self.keys else { return false };
        let random = Session::client_random(hello);
        let known = random.and_then(|random| keys.secrets(&random)).is_some();
        if known && has_place && self.sessions < self.sessions_max {
            return true;
        }
        self.counters.sessions = self.counters.sessions.saturating_add(1);
        self.counters.fail(if known {
            DecryptFailure::NoRoom
        } else {
            DecryptFailure::NoKey
        });
        false
    }

    /// Begins to read the session of a hello, if it can be.
    pub(super) fn begin(
        &mut self,
        hello: &ClientHello<'_>,
        place: &mut Option<Box<Decrypted>>,
    ) -> bool {
        if !self.admits(hello, true) {
            return false;
        }
        let random = Session::client_random(hello);
        let keys = self.keys.as_ref();
        let Some(secrets) = keys
            .zip(random)
            .and_then(|(keys, random)| keys.secrets(&random))
        else {
            return false;
        };
        self.counters.sessions = self.counters.sessions.saturating_add(1);
        self.sessions = self.sessions.saturating_add(1);
        let decrypted = place.get_or_insert_default();
        decrypted.reset();
        decrypted.session.begin(hello, secrets);
        true
    }
}

/// One session, and who reads what is inside.
#[derive(Debug, Default)]
pub(super) struct Decrypted {
    session: Session,
    inner: Inner,
}

/// The client's bytes inside TLS → requests.
#[derive(Debug, Default)]
struct Inner {
    kind: InnerKind,
    head: Head,
    requests: RequestStream,
    http2: Http2Client,
    opened: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InnerKind {
    #[default]
    Undecided,
    Requests,
    Http2,
    /// Something else.
    Nobody,
}

impl Decrypted {
    fn reset(&mut self) {
        self.inner.kind = InnerKind::Undecided;
        self.inner.head = Head::default();
        self.inner.requests.reset();
        self.inner.http2.reset();
        self.inner.opened = false;
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.session
            .held_bytes()
            .saturating_add(self.inner.requests.held_bytes())
            .saturating_add(self.inner.http2.held_bytes())
    }

    /// Forgets the session and gives back memory that was unusual.
    pub(super) fn shrink(&mut self, keep: usize) {
        self.session.shrink(keep);
        self.inner.requests.shrink(keep);
        self.inner.http2.shrink(keep);
    }

    pub(super) const fn server_is_done(&self) -> bool {
        self.session.server_is_done()
    }

    /// Takes the next bytes of the client. False: nothing more is read of it, and that is counted.
    pub(super) fn client(
        &mut self,
        entry: &mut FlowEntry,
        bytes: &[u8],
        room: usize,
        counters: &mut DecryptCounters,
        show: &mut impl FnMut(&mut FlowEntry, Message<'_>),
    ) -> bool {
        let inner = &mut self.inner;
        let (had_early, was_opened) = (self.session.has_early_data(), inner.opened);
        let mut requests = 0u64;
        let outcome = self.session.client(bytes, &mut |bytes| {
            inner.feed(bytes, &mut |inside, request| {
                requests = requests.saturating_add(1);
                show(entry, Message::Decrypted(inside, request));
            });
        });
        counters.requests = counters.requests.saturating_add(requests);
        let opened = u64::from(self.inner.opened && !was_opened);
        counters.opened = counters.opened.saturating_add(opened);
        let early = u64::from(self.session.has_early_data() && !had_early);
        counters.early_data = counters.early_data.saturating_add(early);
        let failure = match outcome {
            Err(failure) => failure,
            Ok(()) if self.inner.kind == InnerKind::Nobody => DecryptFailure::OtherProtocol,
            Ok(()) if self.held_bytes() > room => DecryptFailure::NoRoom,
            Ok(()) => return true,
        };
        counters.fail(failure);
        false
    }
}

impl Inner {
    fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Inside, &Request<'_>)) {
        self.opened |= !bytes.is_empty();
        while !bytes.is_empty() && self.kind != InnerKind::Nobody {
            if self.kind == InnerKind::Undecided {
                bytes = self.decide(bytes);
                let head = std::mem::take(&mut self.head);
                if self.kind == InnerKind::Undecided {
                    self.head = head;
                    continue;
                }
                // No more than was needed to decide: no message ends in it.
                self.step(head.bytes(), each);
            }
            bytes = self.step(bytes, each);
        }
    }

    /// Decides who reads on, by as many bytes as that takes; the rest of them.
    fn decide<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let place = Place::default();
        let mut choice = Choice::Wait;
        if self.head.bytes().is_empty() {
            choice = choose(bytes, None, place);
        }
        let mut rest = bytes;
        while choice == Choice::Wait
            && let Some((byte, behind)) = rest.split_first()
        {
            rest = behind;
            choice = if self.head.push(*byte) {
                choose(self.head.bytes(), None, place)
            } else {
                Choice::Nobody
            };
        }
        self.kind = match choice {
            Choice::Wait => InnerKind::Undecided,
            Choice::Requests => InnerKind::Requests,
            Choice::Http2 => InnerKind::Http2,
            _ => InnerKind::Nobody,
        };
        rest
    }

    fn step<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(Inside, &Request<'_>),
    ) -> &'a [u8] {
        match self.kind {
            InnerKind::Undecided | InnerKind::Nobody => {}
            InnerKind::Requests => {
                let mut each = |request: &Request<'_>| each(Inside::Http, request);
                let (progress, rest) = self.requests.read(bytes, &mut each);
                if progress == Progress::Mismatch {
                    self.kind = InnerKind::Nobody;
                } else if self.requests.at_another_protocol() {
                    // Behind an Upgrade, or a CONNECT to a proxy that is spoken to over TLS.
                    self.requests.reset();
                    self.kind = InnerKind::Undecided;
                    return rest;
                }
            }
            InnerKind::Http2 => {
                let mut each = |request: &Request<'_>| each(Inside::Http2, request);
                if self.http2.feed(bytes, &mut each) == Progress::Mismatch {
                    self.kind = InnerKind::Nobody;
                }
            }
        }
        &[]
    }
}

/// The side of a server of TLS.
pub(super) struct TlsServer<'a, F> {
    pub(super) decrypted: &'a mut Decrypted,
    pub(super) entry: &'a mut FlowEntry,
    pub(super) counters: &'a mut DecryptCounters,
    pub(super) show: &'a mut F,
}

impl<F: FnMut(&mut FlowEntry, Message<'_>)> Side for TlsServer<'_, F> {
    fn feed(&mut self, bytes: &[u8]) {
        let (entry, counters, show) = (&mut *self.entry, &mut *self.counters, &mut *self.show);
        self.decrypted
            .session
            .server(bytes, &mut |shown: ShownCertificate<'_>| {
                if let Ok(certificate) = Certificate::parse(shown.der) {
                    counters.certificates = counters.certificates.saturating_add(1);
                    show(entry, Message::DecryptedServer(shown.hello, &certificate));
                }
            });
    }

    fn lost(&mut self, _: u32) {
        self.decrypted.session.server_lost();
    }

    fn reads_on(&self) -> bool {
        !self.decrypted.server_is_done()
    }
}

impl Inside {
    /// The protocol's word.
    pub const fn app_protocol(self) -> AppProtocol {
        match self {
            Self::Http => AppProtocol::Http,
            Self::Http2 => AppProtocol::Http2,
        }
    }
}
