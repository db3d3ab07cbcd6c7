//! A server's TLS stream in any pieces → the version it chose, and the certificate it showed (RFC 5246 §7.4; RFC 8446 §4.1.3).
//!
//! From TLS 1.3 on certificates are encrypted: reading ends with the ServerHello. It ends too with whatever cannot come before a
//! certificate. Of the chain only the first certificate, the server's own, is kept.

use super::details::{extensions, long_list};
use super::{HANDSHAKE, RECORD_HEADER_LEN, RECORD_LEN_MAX};
use crate::protocol::Progress;
use crate::wire::{Reader, Truncated};

const HELLO_REQUEST: u8 = 0;
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const CERTIFICATE: u8 = 11;
const SUPPLEMENTAL_DATA: u8 = 23;
const CHANGE_CIPHER_SPEC: u8 = 20;

const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// The longest ServerHello that is read; 100 bytes are usual.
const HELLO_BYTES_MAX: u32 = 4 << 10;
/// The longest certificate that is read; 2 kB are usual, one for hundreds of names has 10 kB.
pub const CERTIFICATE_BYTES_MAX: u32 = 32 << 10;
/// What is passed over before the certificate, in bytes.
const SKIPPED_BYTES_MAX: u32 = 64 << 10;
/// Records without content, and messages that say nothing, are endless for an attacker.
const EMPTY_MAX: u8 = 16;
/// The longest name of a protocol that is kept; the registered ones are shorter.
const ALPN_BYTES_MAX: usize = 32;

/// What a server chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version: that of the extension where there is one.
    pub version: u16,
    /// The cipher suite.
    pub cipher_suite: u16,
    /// The server's random number.
    pub random: [u8; 32],
    alpn: [u8; ALPN_BYTES_MAX],
    alpn_len: u8,
}

impl ServerHello {
    /// The protocol that is spoken inside; empty where none was chosen in clear.
    pub fn alpn(&self) -> &[u8] {
        self.alpn
            .get(..usize::from(self.alpn_len))
            .unwrap_or_default()
    }

    /// Whether everything behind it is encrypted, certificates included.
    pub const fn encrypts_certificates(&self) -> bool {
        // 0x7f00 and what follows are the drafts.
        matches!(self.version, 0x0304..=0x03ff | 0x7f00..=0x7fff | 0xfb17 | 0xfb1a | 0xfefc)
    }

    /// Reads the body of the message.
    pub(in crate::protocol) fn parse(body: &[u8]) -> Result<Self, Truncated> {
        let mut body = Reader::new(body);
        let mut hello = Self {
            version: body.u16()?,
            ..Self::default()
        };
        // The drafts of TLS 1.3 before 22 have no session id here.
        let is_draft = hello.version >> 8 == 0x7f;
        let random = body.take(32)?;
        hello.random = random.first_chunk().copied().unwrap_or_default();
        if !is_draft {
            let session_id_len = body.u8()?;
            body.skip(usize::from(session_id_len))?;
        }
        hello.cipher_suite = body.u16()?;
        if !is_draft {
            body.skip(1)?;
        }
        hello.take_extensions(body.rest());
        Ok(hello)
    }

    /// Takes what a list of extensions says: those of the hello, and those that TLS 1.3 encrypts (RFC 8446 §4.3.1).
    pub(in crate::protocol) fn take_extensions(&mut self, list: &[u8]) {
        let Some(list) = long_list(list) else {
            return;
        };
        for (kind, value) in extensions(list) {
            match (kind, value) {
                (SUPPORTED_VERSIONS, [high, low]) => {
                    self.version = u16::from_be_bytes([*high, *low]);
                }
                (ALPN, _) => {
                    if let Some([len, name @ ..]) = long_list(value)
                        && name.len() == usize::from(*len)
                        && let Some(place) = self.alpn.get_mut(..name.len())
                    {
                        place.copy_from_slice(name);
                        self.alpn_len = *len;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Puts together what a server says before it encrypts. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct ServerFlight {
    /// Of the message that is being read, what is kept.
    message: Vec<u8>,
    record_header: [u8; RECORD_HEADER_LEN],
    record_header_len: u8,
    record_left: u16,
    header: [u8; 4],
    header_len: u8,
    /// Bytes of the message that are still to come.
    message_left: u32,
    skipped: u32,
    empty: u8,
    hello: Option<ServerHello>,
    certificate_len: u32,
    resumed: bool,
    ended: bool,
}

impl ServerFlight {
    /// Begins anew.
    pub fn reset(&mut self) {
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        *self = Self {
            message,
            ..Self::default()
        };
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.message.len()
    }

    /// Gives back memory that an unusual certificate needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.message.shrink_to(keep);
    }

    /// The ServerHello, once it was read.
    pub fn hello(&self) -> Option<&ServerHello> {
        self.hello.as_ref()
    }

    /// The server's own certificate, DER, once it was read.
    pub fn certificate(&self) -> Option<&[u8]> {
        if self.certificate_len == 0 {
            return None;
        }
        self.message.get(6..)?.get(..self.certificate_len as usize)
    }

    /// The server went on with a session of before, and so shows no certificate.
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Takes the next bytes. [`Progress::Done`] when nothing more is to be learnt; what was learnt can be asked for then.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Progress {
        while !self.ended && !bytes.is_empty() {
            bytes = if self.record_left > 0 {
                self.take_fragment(bytes)
            } else {
                self.take_record_header(bytes)
            };
        }
        match (self.ended, self.hello, self.certificate_len) {
            (false, ..) => Progress::NeedMore,
            (true, None, 0) => Progress::Mismatch,
            (true, ..) => Progress::Done,
        }
    }

    fn take_record_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let rest = fill(&mut self.record_header, &mut self.record_header_len, bytes);
        if usize::from(self.record_header_len) < RECORD_HEADER_LEN {
            return rest;
        }
        self.record_header_len = 0;
        let [kind, major, minor, len_high, len_low] = self.record_header;
        self.record_left = u16::from_be_bytes([len_high, len_low]);
        if kind != HANDSHAKE || major != 3 || minor > 4 || self.record_left > RECORD_LEN_MAX {
            // It encrypts at once: nothing had to be proved again.
            self.resumed = kind == CHANGE_CIPHER_SPEC && self.is_behind_hello();
            self.ended = true;
        } else if self.record_left == 0 {
            self.count_empty();
        }
        rest
    }

    fn take_fragment<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (mut fragment, rest) = bytes
            .split_at_checked(usize::from(self.record_left))
            .unwrap_or((bytes, &[]));
        self.record_left = self.record_left.saturating_sub(fragment.len() as u16);
        while !self.ended && !fragment.is_empty() {
            fragment = if usize::from(self.header_len) < self.header.len() {
                let rest = fill(&mut self.header, &mut self.header_len, fragment);
                if usize::from(self.header_len) == self.header.len() {
                    self.begin_message();
                }
                rest
            } else {
                self.take_message(fragment)
            };
        }
        rest
    }

    fn begin_message(&mut self) {
        let [kind, l0, l1, l2] = self.header;
        self.message_left = u32::from_be_bytes([0, l0, l1, l2]);
        self.message.clear();
        match kind {
            SERVER_HELLO if self.hello.is_none() && self.message_left <= HELLO_BYTES_MAX => {}
            CERTIFICATE if self.message_left >= 6 => {}
            HELLO_REQUEST | SUPPLEMENTAL_DATA => {
                self.skipped = self.skipped.saturating_add(self.message_left);
                self.ended = self.skipped > SKIPPED_BYTES_MAX;
            }
            _ => {
                self.resumed = kind == NEW_SESSION_TICKET && self.is_behind_hello();
                self.ended = true;
            }
        }
        if self.message_left == 0 {
            self.end_message();
        }
    }

    fn take_message<'a>(&mut self, fragment: &'a [u8]) -> &'a [u8] {
        let (mine, rest) = fragment
            .split_at_checked(self.message_left as usize)
            .unwrap_or((fragment, &[]));
        self.message_left = self.message_left.saturating_sub(mine.len() as u32);
        let [kind, ..] = self.header;
        if matches!(kind, SERVER_HELLO | CERTIFICATE) {
            self.message.extend_from_slice(mine);
        }
        if kind == CERTIFICATE {
            self.look_for_certificate();
        }
        if self.message_left == 0 && !self.ended {
            self.end_message();
        }
        rest
    }

    /// The first of the chain is whole before the chain is (RFC 5246 §7.4.2).
    fn look_for_certificate(&mut self) {
        let Some([_, _, _, l0, l1, l2]) = self.message.first_chunk::<6>() else {
            return;
        };
        let len = u32::from_be_bytes([0, *l0, *l1, *l2]);
        if len == 0 || len > CERTIFICATE_BYTES_MAX {
            self.ended = true;
        } else if self.message.len() >= (len as usize).saturating_add(6) {
            self.certificate_len = len;
            self.ended = true;
        }
    }

    fn end_message(&mut self) {
        self.header_len = 0;
        match self.header {
            [SERVER_HELLO, ..] => {
                self.hello = ServerHello::parse(&self.message).ok();
                self.ended = self.hello.is_none_or(|hello| hello.encrypts_certificates());
                self.message.clear();
            }
            // Shorter than the certificate in it claims.
            [CERTIFICATE, ..] => self.ended = true,
            _ => self.count_empty(),
        }
    }

    fn is_behind_hello(&self) -> bool {
        self.hello.is_some()
    }

    fn count_empty(&mut self) {
        self.empty = self.empty.saturating_add(1);
        self.ended |= self.empty > EMPTY_MAX;
    }
}

/// Takes what is missing of a header; gives the rest.
fn fill<'a, const N: usize>(header: &mut [u8; N], have: &mut u8, bytes: &'a [u8]) -> &'a [u8] {
    let wanted = N.saturating_sub(usize::from(*have));
    let (head, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
    for (place, byte) in header.iter_mut().skip(usize::from(*have)).zip(head) {
        *place = *byte;
    }
    *have = have.saturating_add(head.len() as u8);
    rest
}

/// Whether a server's handshake begins here: with a ServerHello, or, where that was not seen, with the certificate in a record of its own.
#[inline]
pub fn begins_like_server(stream: &[u8]) -> bool {
    matches!(
        stream,
        [HANDSHAKE, 3, 0..=4, 0..=72, _, SERVER_HELLO, 0, 0..=16, ..]
            | [
                HANDSHAKE,
                3,
                0..=4,
                0..=72,
                _,
                CERTIFICATE,
                0..=1,
                _,
                _,
                0..=1,
                _,
                _,
                0,
                _,
                _,
                0x30,
                ..
            ]
    )
}

/// Feeds any bytes whole and in two pieces; both ways agree: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub fn fuzz_server_flight(bytes: &[u8], cut: usize) {
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let (mut whole, mut pieces) = (ServerFlight::default(), ServerFlight::default());
    let progress = whole.feed(bytes);
    pieces.feed(head);
    assert!(pieces.feed(tail) == progress, "the pieces end otherwise");
    assert!(pieces.hello() == whole.hello(), "another hello");
    assert!(
        pieces.certificate() == whole.certificate(),
        "another certificate"
    );
    if let Some(der) = whole.certificate() {
        let _ = super::Certificate::parse(der).map(|found| found.names().count());
    }
}
