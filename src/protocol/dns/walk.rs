//! A message → the places of its questions and records, in order, without reading into names.

use super::{DnsError, HEADER_LEN, name};
use crate::wire::Reader;

/// The header (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub id: u16,
    pub flags: u16,
    pub questions: u16,
    pub answers: u16,
    pub authorities: u16,
    pub additionals: u16,
}

impl Header {
    pub const fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub const fn opcode(self) -> u8 {
        ((self.flags >> 11) & 0xf) as u8
    }

    /// The bit that must be zero; AD and CD beside it have a meaning since RFC 4035.
    pub const fn reserved(self) -> bool {
        self.flags & 0x40 != 0
    }

    pub const fn rcode(self) -> u8 {
        (self.flags & 0xf) as u8
    }
}

/// A question, its name by place.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuestionAt {
    pub name: usize,
    pub kind: u16,
    pub class: u16,
}

/// A record (RFC 1035 §3.2.1), its name and data by place.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordAt {
    pub name: usize,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    /// Where the data begins; it lies within the message.
    pub data: usize,
    pub data_len: u16,
}

/// Goes through a message from its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    message: &'a [u8],
    header: Header,
    at: usize,
}

impl<'a> Walk<'a> {
    /// `None`: shorter than a header.
    #[inline]
    pub fn new(message: &'a [u8]) -> Option<Self> {
        let [i0, i1, f0, f1, q0, q1, n0, n1, u0, u1, d0, d1] = *message.first_chunk()?;
        Some(Self {
            message,
            header: Header {
                id: u16::from_be_bytes([i0, i1]),
                flags: u16::from_be_bytes([f0, f1]),
                questions: u16::from_be_bytes([q0, q1]),
                answers: u16::from_be_bytes([n0, n1]),
                authorities: u16::from_be_bytes([u0, u1]),
                additionals: u16::from_be_bytes([d0, d1]),
            },
            at: HEADER_LEN,
        })
    }

    pub const fn header(&self) -> Header {
        self.header
    }

    pub const fn is_at_end(&self) -> bool {
        self.at == self.message.len()
    }

    /// The next question. After an error the walk stands where it stood.
    #[inline]
    pub fn question(&mut self) -> Result<QuestionAt, DnsError> {
        let name = self.at;
        let fixed = name::end_in_place(self.message, name)?;
        let mut reader = Reader::new(self.message.get(fixed..).unwrap_or_default());
        let question = QuestionAt {
            name,
            kind: reader.u16()?,
            class: reader.u16()?,
        };
        self.at = fixed.saturating_add(4);
        Ok(question)
    }

    /// The next record. After an error the walk stands where it stood.
    #[inline]
    pub fn record(&mut self) -> Result<RecordAt, DnsError> {
        let name = self.at;
        let fixed = name::end_in_place(self.message, name)?;
        let mut reader = Reader::new(self.message.get(fixed..).unwrap_or_default());
        let (kind, class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let data_len = reader.u16()?;
        reader.skip(usize::from(data_len))?;
        let data = fixed.saturating_add(10);
        self.at = data.saturating_add(usize::from(data_len));
        Ok(RecordAt {
            name,
            kind,
            class,
            ttl,
            data,
            data_len,
        })
    }
}
