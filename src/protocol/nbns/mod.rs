//! Bytes of one NetBIOS name service message → the name asked for, or what a host says of itself (RFC 1001, RFC 1002 §4.2).
//!
//! **Invariants**: the work on a message is bounded by its length; names go through the reader of DNS names, whose pointers go
//! backwards.

#[cfg(test)]
mod tests;

use super::dns::{end_in_place, labels};
use super::short_text::ShortText;
use crate::wire::{Reader, Truncated};

/// Type NB: the addresses of a name (RFC 1002 §4.2.1.2).
pub const TYPE_NB: u16 = 0x20;
/// Type NBSTAT: what a node is (RFC 1002 §4.2.17).
pub const TYPE_NBSTAT: u16 = 0x21;
const HEADER_LEN: usize = 12;

/// A message, as far as it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody asks for a name.
    Query {
        /// Number that joins it with its answer.
        id: u16,
        /// The name.
        name: ShortText,
        /// [`TYPE_NB`] or [`TYPE_NBSTAT`].
        kind: u16,
    },
    /// A host says of a name that it is its own: it registers, refreshes or releases it, or answers.
    Own(OwnName),
    /// Anything else: an acknowledgement, a refusal, a conflict.
    Other,
}

/// What a host says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnName {
    /// The name; empty where none was given that is the host's alone.
    pub name: ShortText,
    /// The address that goes with it, IPv4 mapped; none in the status of a node, which is about its sender.
    pub address: Option<[u8; 16]>,
    /// The address on the link, in the status of a node.
    pub mac: Option<[u8; 6]>,
    /// For how many seconds; 0 is for ever.
    pub ttl: Option<u32>,
    /// It is given up.
    pub released: bool,
    /// It is an answer, which another node could give as well: to be held against its sender.
    pub is_answer: bool,
}

/// Why bytes are no message that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NbnsError {
    /// The bytes end too early.
    #[error("ends inside the header, a name or a record")]
    Truncated,
    /// A name that is none of NetBIOS.
    #[error("a name that is none of NetBIOS")]
    BadName,
}

impl From<Truncated> for NbnsError {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// Reads a message.
///
/// # Errors
///
/// Where what it is about cannot be read.
pub fn parse(bytes: &[u8]) -> Result<Message, NbnsError> {
    const QUERY: u8 = 0;
    const RELEASE: u8 = 6;
    /// Registration, refresh (two numbers are in use), registration by a host with several addresses.
    const CLAIMS: [u8; 5] = [5, RELEASE, 8, 9, 15];
    const RCODE: u16 = 15;
    let mut header = Reader::new(bytes);
    let (id, flags) = (header.u16()?, header.u16()?);
    let (questions, answers) = (header.u16()?, header.u16()?);
    header.skip(4)?;
    let is_response = flags & 0x8000 != 0;
    let opcode = (flags >> 11).to_be_bytes()[1] & 15;
    match (is_response, opcode) {
        (false, QUERY) if questions > 0 => {
            let name = name_at(bytes, HEADER_LEN)?;
            let behind = end_in_place(bytes, HEADER_LEN).map_err(|_| NbnsError::Truncated)?;
            let kind = Reader::new(bytes.get(behind..).unwrap_or_default()).u16()?;
            Ok(Message::Query { id, name, kind })
        }
        (false, opcode) if CLAIMS.contains(&opcode) && questions > 0 => {
            let behind = end_in_place(bytes, HEADER_LEN).map_err(|_| NbnsError::Truncated)?;
            // The question's type and class; then the record of the claim (RFC 1002 §4.2.2, §4.2.4, §4.2.9).
            let own = record(bytes, behind.saturating_add(4))?;
            let released = opcode == RELEASE;
            Ok(own.map_or(Message::Other, |own| {
                Message::Own(OwnName { released, ..own })
            }))
        }
        (true, QUERY) if answers > 0 && flags & RCODE == 0 => {
            let mut at = HEADER_LEN;
            for _ in 0..questions.min(1) {
                let behind = end_in_place(bytes, at).map_err(|_| NbnsError::Truncated)?;
                at = behind.saturating_add(4);
            }
            Ok(record(bytes, at)?.map_or(Message::Other, |own| {
                Message::Own(OwnName {
                    is_answer: true,
                    ..own
                })
            }))
        }
        _ => Ok(Message::Other),
    }
}

/// A record with addresses or with the status of a node; `None` where the name is one of a group, or the type another.
fn record(bytes: &[u8], at: usize) -> Result<Option<OwnName>, NbnsError> {
    let name = name_at(bytes, at)?;
    let behind = end_in_place(bytes, at).map_err(|_| NbnsError::Truncated)?;
    let mut reader = Reader::new(bytes.get(behind..).unwrap_or_default());
    let (kind, _class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let len = reader.u16()?;
    let mut data = reader.sub(usize::from(len))?;
    let own = OwnName {
        name,
        address: None,
        mac: None,
        ttl: Some(ttl),
        released: false,
        is_answer: false,
    };
    match kind {
        TYPE_NB => {
            let (flags, [a, b, c, d]) = (data.u16()?, data.array::<4>()?);
            if flags & GROUP != 0 {
                return Ok(None);
            }
            let address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d];
            Ok(Some(OwnName {
                address: Some(address),
                ..own
            }))
        }
        TYPE_NBSTAT => status(&mut data).map(|(name, mac)| {
            Some(OwnName {
                name,
                mac,
                ttl: None,
                ..own
            })
        }),
        _ => Ok(None),
    }
}

/// The bit that says that a name is a group's (RFC 1002 §4.2.1.3, §4.2.18).
const GROUP: u16 = 0x8000;

/// The names of a node and its address on the link (RFC 1002 §4.2.18).
fn status(data: &mut Reader<'_>) -> Result<(ShortText, Option<[u8; 6]>), NbnsError> {
    let mut own = ShortText::default();
    for _ in 0..data.u8()? {
        let (name, flags) = (data.array::<16>()?, data.u16()?);
        // The host's own name is the one of its workstation.
        if own.is_empty() && flags & GROUP == 0 && name.last() == Some(&0) {
            own = text_of(&name);
        }
    }
    // The statistics begin with the address; some send none.
    let mac = data.array::<6>().ok().filter(|mac| mac != &[0; 6]);
    Ok((own, mac))
}

/// The name at a place as text.
fn name_at(bytes: &[u8], at: usize) -> Result<ShortText, NbnsError> {
    let mut text = ShortText::default();
    let (mut first, mut wrong) = (true, false);
    let read = labels(bytes, at, |label| {
        if std::mem::take(&mut first) {
            match decode(label) {
                Some(name) => text = text_of(&name),
                None => wrong = true,
            }
        } else {
            // The scope, which nobody uses (RFC 1001 §9).
            wrong |= !(text.push(b".") && text.push(label));
        }
    });
    if read.is_err() {
        return Err(NbnsError::Truncated);
    }
    if wrong || first {
        return Err(NbnsError::BadName);
    }
    Ok(text)
}

/// The first-level encoding: each half byte as a letter from A on (RFC 1001 §14.1).
fn decode(label: &[u8]) -> Option<[u8; 16]> {
    let letters: &[u8; 32] = label.try_into().ok()?;
    let (pairs, _) = letters.as_chunks::<2>();
    let mut name = [0; 16];
    for (byte, [high, low]) in name.iter_mut().zip(pairs) {
        let (high, low) = (high.checked_sub(b'A')?, low.checked_sub(b'A')?);
        if high > 15 || low > 15 {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(name)
}

/// A name of sixteen bytes as text: without its padding, and with its last byte where that says that it is no host's but of a
/// service or a group, as `WORKGROUP<1d>`. Workstation (00) and server (20) are the host itself.
fn text_of(name: &[u8; 16]) -> ShortText {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let (padded, suffix) = (name.get(..15).unwrap_or_default(), name.last().copied());
    let end = padded
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | 0))
        .map_or(0, |last| last.saturating_add(1));
    let mut text = ShortText::default();
    text.push(padded.get(..end).unwrap_or_default());
    if let Some(suffix) = suffix.filter(|suffix| !matches!(suffix, 0 | 0x20)) {
        let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'?');
        text.push(&[b'<', digit(suffix >> 4), digit(suffix & 15), b'>']);
    }
    text
}

/// Reads any bytes as a message, and as every shorter one: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_message(bytes: &[u8]) {
    let whole = parse(bytes);
    assert!(parse(bytes) == whole, "read twice, two results");
    for end in (0..bytes.len()).rev().take(64) {
        let _ = parse(bytes.get(..end).unwrap_or_default());
    }
}
