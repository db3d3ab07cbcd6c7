//! A TLS stream in any pieces → one ClientHello, over as many records as it takes (RFC 8446 §5.1).

use super::client_hello::HANDSHAKE_HEADER_LEN;
use super::{
    CLIENT_HELLO, ClientHello, HANDSHAKE, HELLO_BYTES_MAX, HelloTransport, RECORD_HEADER_LEN,
    RECORD_LEN_MAX,
};
use crate::protocol::Progress;

/// Records without content are legal for some types and endless for an attacker.
const EMPTY_RECORDS_MAX: u8 = 16;

/// Collects the handshake message. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct HelloAssembler {
    /// The handshake message, header included.
    message: Vec<u8>,
    record_header: [u8; RECORD_HEADER_LEN],
    record_header_len: u8,
    /// Bytes of the current record that are still to come.
    record_left: u16,
    empty_records: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Collecting,
    Done,
    Mismatch,
}

impl HelloAssembler {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.message.clear();
        self.record_header_len = 0;
        self.record_left = 0;
        self.empty_records = 0;
        self.state = State::Collecting;
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.message.len()
    }

    /// Gives back memory that an unusual hello needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.message.shrink_to(keep);
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        self.read(bytes).0
    }

    /// The same, and the bytes behind the record that the hello ends in.
    pub fn read<'a>(&mut self, mut bytes: &'a [u8]) -> (Progress, &'a [u8]) {
        while self.state == State::Collecting && !bytes.is_empty() {
            bytes = if self.record_left > 0 {
                self.take_fragment(bytes)
            } else {
                self.take_header(bytes)
            };
        }
        let progress = match self.state {
            State::Collecting => Progress::NeedMore,
            State::Done => Progress::Done,
            State::Mismatch => Progress::Mismatch,
        };
        (progress, bytes)
    }

    /// The hello, once [`Progress::Done`].
    pub fn hello(&self) -> Option<ClientHello<'_>> {
        if self.state != State::Done {
            return None;
        }
        self.body()
            .and_then(|body| ClientHello::parse(body, HelloTransport::Tcp).ok())
    }

    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let have = usize::from(self.record_header_len);
        let wanted = RECORD_HEADER_LEN.saturating_sub(have);
        let (head, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
        for (place, byte) in self.record_header.iter_mut().skip(have).zip(head) {
            *place = *byte;
        }
        self.record_header_len = self.record_header_len.saturating_add(head.len() as u8);
        let [kind, major, minor, len_high, len_low] = self.record_header;
        let plausible = match self.record_header_len {
            0 => true,
            1 => kind == HANDSHAKE,
            2 => kind == HANDSHAKE && major == 3,
            _ => kind == HANDSHAKE && major == 3 && minor <= 4,
        };
        if !plausible {
            self.state = State::Mismatch;
        } else if usize::from(self.record_header_len) == RECORD_HEADER_LEN {
            self.record_header_len = 0;
            self.record_left = u16::from_be_bytes([len_high, len_low]);
            if self.record_left == 0 {
                self.empty_records = self.empty_records.saturating_add(1);
            }
            if self.record_left > RECORD_LEN_MAX || self.empty_records > EMPTY_RECORDS_MAX {
                self.state = State::Mismatch;
            }
        }
        rest
    }

    fn take_fragment<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (fragment, rest) = bytes
            .split_at_checked(usize::from(self.record_left))
            .unwrap_or((bytes, &[]));
        self.record_left = self.record_left.saturating_sub(fragment.len() as u16);
        self.message.extend_from_slice(fragment);
        let header = self.message.first_chunk::<HANDSHAKE_HEADER_LEN>();
        let (kind, len) = match header {
            Some([kind, l0, l1, l2]) => (*kind, Some(u32::from_be_bytes([0, *l0, *l1, *l2]))),
            None => (self.message.first().copied().unwrap_or(CLIENT_HELLO), None),
        };
        if kind != CLIENT_HELLO || len.is_some_and(|len| len > HELLO_BYTES_MAX) {
            self.state = State::Mismatch;
        } else if let Some(body) = self.body() {
            self.state = if ClientHello::parse(body, HelloTransport::Tcp).is_ok() {
                State::Done
            } else {
                State::Mismatch
            };
        }
        rest
    }

    /// The message behind its header, if all of it is there.
    fn body(&self) -> Option<&[u8]> {
        let (header, body) = self.message.split_first_chunk::<HANDSHAKE_HEADER_LEN>()?;
        let [_, l0, l1, l2] = *header;
        body.get(..u32::from_be_bytes([0, l0, l1, l2]) as usize)
    }
}
