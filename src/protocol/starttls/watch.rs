//! The client's bytes in any pieces → the first byte of TLS, once it was asked for.

use super::{PIECES_MAX, Style};
use crate::protocol::tls;

/// Content type of the record that a hello is in.
const HANDSHAKE: u8 = 22;
/// The name of the operation by which LDAP asks (RFC 4511 §4.14.1).
const LDAP_OPERATION: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// The element by which XMPP asks.
const XMPP_ELEMENT: &[u8] = b"<starttls";
/// Codes in the place of a version: encryption by TLS, by GSSAPI (PostgreSQL, message formats).
const POSTGRES_TLS: u32 = 80_877_103;
const POSTGRES_GSSAPI: u32 = 80_877_104;
/// Length of what MySQL's client asks with, behind the packet's header, and the capability that says it asks.
const MYSQL_LEN: u8 = 32;
const MYSQL_TLS: u8 = 0x08;
/// What is held of a line or message: longer than what asks for TLS.
const HELD_BYTES: usize = 48;

/// What became of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// TLS has not begun, and still may.
    Nothing,
    /// TLS begins with the bytes that are left.
    Tls,
    /// TLS will not begin: the protocol went on without it.
    Ended,
    /// Watched for long enough.
    Exhausted,
}

/// Watches one stream. Reused from flow to flow: [`Self::begin`].
#[derive(Debug)]
pub struct TlsWatch {
    style: Style,
    held: [u8; HELD_BYTES],
    held_len: u8,
    /// Bytes of a message that are still to come.
    left: u32,
    /// TLS was asked for.
    asked: bool,
    /// Bytes were lost: where a line or message begins is not known.
    out_of_step: bool,
    bytes_left: u32,
    pieces_left: u16,
}

impl Default for TlsWatch {
    fn default() -> Self {
        Self {
            style: Style::Lines,
            held: [0; HELD_BYTES],
            held_len: 0,
            left: 0,
            asked: false,
            out_of_step: false,
            bytes_left: 0,
            pieces_left: 0,
        }
    }
}

/// What one more byte means.
enum Step {
    /// Nothing yet.
    On,
    /// TLS begins with it.
    Tls,
    /// No TLS will come.
    Ended,
}

impl TlsWatch {
    /// Begins to watch at most so many bytes.
    pub fn begin(&mut self, style: Style, bytes_max: u32) {
        *self = Self {
            style,
            bytes_left: bytes_max,
            pieces_left: PIECES_MAX,
            out_of_step: style == Style::Unknown,
            ..Self::default()
        };
    }

    /// Takes the next bytes; those from the first byte of TLS on are given back.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> (Watched, &'a [u8]) {
        let mut rest = bytes;
        if self.out_of_step {
            if bytes.len() > 5 && tls::begins_like_hello(bytes) {
                return (Watched::Tls, bytes);
            }
            rest = self.next_line(bytes);
        }
        while let Some((byte, behind)) = rest.split_first() {
            match self.step(*byte) {
                Step::On => {}
                Step::Tls => return (Watched::Tls, rest),
                Step::Ended => return (Watched::Ended, &[]),
            }
            let Some(left) = self.bytes_left.checked_sub(1) else {
                return (Watched::Exhausted, &[]);
            };
            self.bytes_left = left;
            rest = behind;
        }
        self.pieces_left = self.pieces_left.saturating_sub(1);
        if self.pieces_left == 0 {
            (Watched::Exhausted, &[])
        } else {
            (Watched::Nothing, &[])
        }
    }

    /// Bytes of the stream will not come.
    pub fn lost(&mut self) {
        self.out_of_step = true;
        self.held_len = 0;
        self.left = 0;
    }

    /// What stands behind the end of a line, from where on the lines are in step again; else nothing.
    fn next_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.style, Style::Lines | Style::Xmpp) {
            return &[];
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'>'));
        let Some(end) = end else { return &[] };
        self.out_of_step = false;
        bytes.get(end.saturating_add(1)..).unwrap_or_default()
    }

    fn step(&mut self, byte: u8) -> Step {
        // In XML the byte cannot stand anywhere.
        let at_beginning = self.style == Style::Xmpp || self.held_len == 0 && self.left == 0;
        if at_beginning && self.asked && byte == HANDSHAKE {
            return Step::Tls;
        }
        match self.style {
            Style::Lines => self.line(byte),
            Style::Ldap => self.ldap(byte),
            Style::Postgres => self.postgres(byte),
            Style::Mysql => self.mysql(byte),
            Style::Xmpp => self.xmpp(byte),
            Style::Rdp => self.rdp(byte),
            Style::Unknown => Step::On,
        }
    }

    fn hold(&mut self, byte: u8) {
        if let Some(place) = self.held.get_mut(usize::from(self.held_len)) {
            *place = byte;
            self.held_len = self.held_len.saturating_add(1);
        }
    }

    fn held(&self) -> &[u8] {
        self.held
            .get(..usize::from(self.held_len))
            .unwrap_or_default()
    }

    fn line(&mut self, byte: u8) -> Step {
        if byte == b'\n' {
            self.asked |= asks(self.held());
            self.held_len = 0;
        } else {
            self.hold(byte);
        }
        Step::On
    }

    fn ldap(&mut self, byte: u8) -> Step {
        if self.left == 0 {
            self.hold(byte);
            match ber_length(self.held()) {
                Length::NotYet => return Step::On,
                Length::None => return Step::Ended,
                Length::Of(len) => self.left = len,
            }
            // The header is not needed further.
            self.held_len = 0;
        } else {
            self.hold(byte);
            self.left = self.left.saturating_sub(1);
        }
        if self.left == 0 {
            let asks = self
                .held()
                .windows(LDAP_OPERATION.len())
                .any(|part| part == LDAP_OPERATION);
            self.asked |= asks;
            self.held_len = 0;
        }
        Step::On
    }

    fn postgres(&mut self, byte: u8) -> Step {
        self.hold(byte);
        let Some((len, code)) = self.held().split_first_chunk::<4>() else {
            return Step::On;
        };
        let Ok(code) = <[u8; 4]>::try_from(code) else {
            return Step::On;
        };
        let (len, code) = (u32::from_be_bytes(*len), u32::from_be_bytes(code));
        self.held_len = 0;
        match (len, code) {
            (8, POSTGRES_TLS) => self.asked = true,
            (8, POSTGRES_GSSAPI) => {}
            _ => return Step::Ended,
        }
        Step::On
    }

    fn mysql(&mut self, byte: u8) -> Step {
        self.hold(byte);
        match *self.held() {
            [MYSQL_LEN, 0, 0, 1, _, capabilities, ..] if capabilities & MYSQL_TLS != 0 => {
                if usize::from(self.held_len) == usize::from(MYSQL_LEN).saturating_add(4) {
                    self.asked = true;
                    self.held_len = 0;
                }
                Step::On
            }
            // A request is asked for before it; behind it nothing else can come.
            [_, _, _, _, _, _, ..] => Step::Ended,
            _ if self.asked => Step::Ended,
            _ => Step::On,
        }
    }

    fn xmpp(&mut self, byte: u8) -> Step {
        if byte == b'<' {
            self.held_len = 0;
        }
        self.hold(byte);
        self.asked |= self.held() == XMPP_ELEMENT;
        Step::On
    }

    fn rdp(&mut self, byte: u8) -> Step {
        if self.asked {
            return Step::Ended;
        }
        if self.left > 0 {
            self.left = self.left.saturating_sub(1);
        } else {
            self.hold(byte);
            let [version, 0, high, low] = *self.held() else {
                return Step::On;
            };
            if version != 3 {
                return Step::Ended;
            }
            self.left = u32::from(u16::from_be_bytes([high, low])).saturating_sub(4);
            self.held_len = 0;
        }
        self.asked = self.left == 0;
        Step::On
    }
}

/// Whether a line asks for TLS: the command alone, behind a tag (IMAP), or as a way of authentication (FTP).
pub(super) fn asks(line: &[u8]) -> bool {
    let mut words = line
        .trim_ascii()
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let (first, second) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let is = |word: &[u8], command: &[u8]| word.eq_ignore_ascii_case(command);
    is(first, b"STARTTLS")
        || is(first, b"STLS")
        || is(second, b"STARTTLS")
        || is(first, b"AUTH")
            && (is(second, b"TLS")
                || is(second, b"SSL")
                || is(second, b"TLS-C")
                || is(second, b"TLS-P"))
}

/// Whether the first message of a client asks for TLS, in LDAP or PostgreSQL.
pub(super) fn asks_in_a_message(head: &[u8]) -> bool {
    if let Some((len, code)) = head.split_first_chunk::<4>()
        && u32::from_be_bytes(*len) == 8
    {
        return code == POSTGRES_TLS.to_be_bytes() || code == POSTGRES_GSSAPI.to_be_bytes();
    }
    head.first() == Some(&0x30)
        && head
            .get(..HELD_BYTES)
            .unwrap_or(head)
            .windows(LDAP_OPERATION.len())
            .any(|part| part == LDAP_OPERATION)
}

/// What the header of a message in BER says.
enum Length {
    NotYet,
    None,
    Of(u32),
}

/// The length of a sequence (X.690 §8.1.3), by as much of its header as is there.
fn ber_length(header: &[u8]) -> Length {
    match header {
        [] | [0x30] => Length::NotYet,
        [0x30, len @ 1..=0x7f] => Length::Of(u32::from(*len)),
        [0x30, count @ 0x81..=0x84, len @ ..] => {
            if len.len() < usize::from(count & 0x7f) {
                return Length::NotYet;
            }
            let len = len
                .iter()
                .fold(0u32, |len, byte| len << 8 | u32::from(*byte));
            if len == 0 {
                Length::None
            } else {
                Length::Of(len)
            }
        }
        _ => Length::None,
    }
}
