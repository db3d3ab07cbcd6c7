//! A datagram → its packets with long headers, as far as they are in clear (RFC 9000 §17.2).

use super::version::Version;
use crate::wire::{Reader, Truncated};

/// Set in a long header (RFC 9000 §17.2).
const LONG: u8 = 0x80;
/// The longest connection id (RFC 9000 §17.2).
const CONNECTION_ID_MAX: u8 = 20;
/// A client's first one is at least so long (RFC 9000 §7.2).
const FIRST_CONNECTION_ID_MIN: usize = 8;
/// A client's Initial fills at least so many bytes of its datagram (RFC 9000 §14.1).
pub const INITIAL_DATAGRAM_MIN: usize = 1200;

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPacket<'a> {
    /// Its version.
    pub version: Version,
    /// Two bits whose meaning depends on the version.
    pub packet_type: u8,
    /// Where it goes.
    pub destination_id: &'a [u8],
    /// What lies behind both connection ids, to the end of the datagram.
    pub rest: &'a [u8],
    /// The datagram from the beginning of the packet.
    pub bytes: &'a [u8],
}

/// A packet that says how long it is: Initial, 0-RTT or Handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected<'a> {
    /// The packet from its first byte to its end.
    pub bytes: &'a [u8],
    /// Where its packet number begins, still hidden.
    pub number_at: usize,
    /// What follows it in the datagram.
    pub behind: &'a [u8],
}

/// Whether the first byte is that of a long header.
#[inline]
pub fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & LONG != 0)
}

impl<'a> LongPacket<'a> {
    /// Reads what all versions have in common (RFC 8999 §5.1).
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        let version = Version(reader.u32()?);
        let destination_len = reader.u8()?;
        if first & LONG == 0 || destination_len > CONNECTION_ID_MAX {
            return Err(Truncated);
        }
        let destination_id = reader.take(usize::from(destination_len))?;
        let source_len = reader.u8()?;
        if source_len > CONNECTION_ID_MAX {
            return Err(Truncated);
        }
        reader.skip(usize::from(source_len))?;
        Ok(Self {
            version,
            packet_type: first >> 4 & 3,
            destination_id,
            rest: reader.rest(),
            bytes,
        })
    }

    /// Where the packet ends, with a token in front of its length if it is an Initial (RFC 9000 §17.2.2).
    #[inline]
    pub fn protected(&self, has_token: bool) -> Result<Protected<'a>, Truncated> {
        let mut reader = Reader::new(self.rest);
        if has_token {
            let token_len = varint(&mut reader)?;
            reader.skip(usize::try_from(token_len).unwrap_or(usize::MAX))?;
        }
        let len = usize::try_from(varint(&mut reader)?).unwrap_or(usize::MAX);
        let number_at = self.bytes.len().saturating_sub(reader.rest().len());
        let end = number_at.checked_add(len).ok_or(Truncated)?;
        let (bytes, behind) = self.bytes.split_at_checked(end).ok_or(Truncated)?;
        Ok(Protected {
            bytes,
            number_at,
            behind,
        })
    }
}

/// Whether the datagram is laid out as a client's first one of any version: enough to try known salts on it.
pub fn may_be_first(datagram: &[u8]) -> bool {
    first_connection_id(datagram).is_some()
}

/// The connection id to which a datagram goes that is laid out as a client's first one of any version.
pub fn first_connection_id(datagram: &[u8]) -> Option<&[u8]> {
    if datagram.len() < INITIAL_DATAGRAM_MIN {
        return None;
    }
    let packet = LongPacket::parse(datagram).ok()?;
    let is_laid_out = packet.version != Version::NEGOTIATION
        && packet.packet_type <= 1
        && packet.destination_id.len() >= FIRST_CONNECTION_ID_MIN
        && packet.protected(true).is_ok_and(|protected| {
            // A number of four bytes and a tag at least; and padding fills the datagram.
            protected.bytes.len().saturating_sub(protected.number_at) >= 20
        });
    is_laid_out.then_some(packet.destination_id)
}

/// A number of one, two, four or eight bytes (RFC 9000 §16).
#[inline]
pub fn varint(reader: &mut Reader<'_>) -> Result<u64, Truncated> {
    let first = reader.u8()?;
    let mut value = u64::from(first & 0x3f);
    let more = (1usize << (first >> 6)).saturating_sub(1);
    for byte in reader.take(more)? {
        value = value << 8 | u64::from(*byte);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [RFC 9000 §A.1]
    #[test]
    fn numbers_are_as_in_the_appendix() {
        let read = |bytes: &[u8]| varint(&mut Reader::new(bytes));
        assert_eq!(
            read(b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"),
            Ok(151_288_809_941_952_652)
        );
        assert_eq!(read(b"\x9d\x7f\x3e\x7d"), Ok(494_878_333));
        assert_eq!(read(b"\x7b\xbd"), Ok(15_293));
        assert_eq!(read(b"\x25"), Ok(37));
        assert_eq!(read(b"\x40\x25"), Ok(37));
        assert_eq!(read(b"\x9d\x7f\x3e"), Err(Truncated));
        assert_eq!(read(b""), Err(Truncated));
    }

    #[test]
    fn a_length_beyond_the_datagram_is_refused() {
        let packet = b"\xc0\0\0\0\x01\x08abcdefgh\0\0\x44\x9e";
        let parsed = LongPacket::parse(packet).unwrap();
        assert_eq!(parsed.destination_id, b"abcdefgh");
        assert_eq!(parsed.protected(true), Err(Truncated));
        let huge = b"\xc0\0\0\0\x01\x08abcdefgh\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(
            LongPacket::parse(huge).unwrap().protected(true),
            Err(Truncated)
        );
        assert_eq!(
            LongPacket::parse(b"\xc0\0\0\0\x01\x15abcdefghijklmnopqrstu\0"),
            Err(Truncated),
            "a connection id of 21 bytes"
        );
    }
}
