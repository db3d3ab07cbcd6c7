//! A TLS stream in any pieces → whole records, and the handshake messages in them.

/// Content type, version, length.
const HEADER_LEN: usize = 5;
/// The longest fragment: 2^14 and what protection adds, the most that any version allows (RFC 5246 §6.2.3).
const FRAGMENT_BYTES_MAX: u16 = (1 << 14) + 2048;
/// Records without content are legal for some types and endless for an attacker.
const EMPTY_MAX: u32 = 1 << 16;

/// What there is after a piece was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The record goes on.
    Part,
    /// A record is whole.
    Whole,
    /// These are no records.
    Malformed,
}

/// Puts the records of one direction together.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER_LEN],
    header_len: u8,
    left: u16,
    /// The fragment of the record, once whole for the caller to open in place.
    pub(super) fragment: Vec<u8>,
    empty: u32,
}

impl Records {
    pub(super) fn reset(&mut self) {
        self.header_len = 0;
        self.left = 0;
        self.fragment.clear();
        self.empty = 0;
    }

    pub(super) const fn header(&self) -> [u8; HEADER_LEN] {
        self.header
    }

    /// Takes bytes up to the end of the record; gives the rest.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> (Taken, &'a [u8]) {
        let mut bytes = bytes;
        if usize::from(self.header_len) < HEADER_LEN {
            if self.header_len == 0 {
                self.fragment.clear();
            }
            let have = usize::from(self.header_len);
            let wanted = HEADER_LEN.saturating_sub(have);
            let (head, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            for (place, byte) in self.header.iter_mut().skip(have).zip(head) {
                *place = *byte;
            }
            self.header_len = self.header_len.saturating_add(head.len() as u8);
            let [kind, major, minor, l0, l1] = self.header;
            let len = usize::from(self.header_len);
            let plausible = (len < 1 || matches!(kind, 20..=24))
                && (len < 2 || major == 3)
                && (len < 3 || minor <= 4);
            self.left = u16::from_be_bytes([l0, l1]);
            if !plausible || len == HEADER_LEN && self.left > FRAGMENT_BYTES_MAX {
                return (Taken::Malformed, &[]);
            }
            if len < HEADER_LEN {
                return (Taken::Part, rest);
            }
            bytes = rest;
        }
        let (piece, rest) = bytes
            .split_at_checked(usize::from(self.left))
            .unwrap_or((bytes, &[]));
        self.fragment.extend_from_slice(piece);
        self.left = self.left.saturating_sub(piece.len() as u16);
        if self.left > 0 {
            return (Taken::Part, rest);
        }
        self.header_len = 0;
        if self.fragment.is_empty() {
            self.empty = self.empty.saturating_add(1);
            if self.empty > EMPTY_MAX {
                return (Taken::Malformed, &[]);
            }
        }
        (Taken::Whole, rest)
    }
}

/// Takes handshake messages out of the content of records (RFC 8446 §5.1).
#[derive(Debug, Default)]
pub(super) struct Messages {
    header: [u8; 4],
    header_len: u8,
    left: u32,
    body: Vec<u8>,
}

impl Messages {
    pub(super) fn reset(&mut self) {
        self.header_len = 0;
        self.left = 0;
        self.body.clear();
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn shrink(&mut self, keep: usize) {
        self.reset();
        self.body.shrink_to(keep);
    }

    /// Takes content; each message that ends in it is given to `each`, its type and so much of its body as `keeps` says.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        keeps: fn(u8) -> usize,
        each: &mut impl FnMut(u8, &[u8]),
    ) {
        while !bytes.is_empty() {
            if usize::from(self.header_len) < self.header.len() {
                let have = usize::from(self.header_len);
                let wanted = self.header.len().saturating_sub(have);
                let (head, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
                for (place, byte) in self.header.iter_mut().skip(have).zip(head) {
                    *place = *byte;
                }
                self.header_len = self.header_len.saturating_add(head.len() as u8);
                bytes = rest;
                if usize::from(self.header_len) < self.header.len() {
                    return;
                }
                let [_, l0, l1, l2] = self.header;
                self.left = u32::from_be_bytes([0, l0, l1, l2]);
                self.body.clear();
            }
            let (piece, rest) = bytes
                .split_at_checked(self.left as usize)
                .unwrap_or((bytes, &[]));
            let [kind, ..] = self.header;
            let room = keeps(kind).saturating_sub(self.body.len());
            self.body
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
            self.left = self.left.saturating_sub(piece.len() as u32);
            bytes = rest;
            if self.left == 0 {
                self.header_len = 0;
                each(kind, &self.body);
                self.body.clear();
            }
        }
    }
}
