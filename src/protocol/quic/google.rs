//! Google's QUIC before Q050 → the pieces of its client's hello, which travels in clear; and the name in that hello.
//!
//! Three layouts of the packet: up to Q043 a public header; Q044 to Q048 a long header whose connection ids have lengths of four
//! bits; Q049 that of the standard. Each is followed by twelve bytes of a hash over all, which is checked: they are nobody's
//! secret, but chance and damage do not pass. Up to Q033 a byte of flags lies between the hash and the first frame.

use super::header::LongPacket;
use super::version::Version;
use crate::protocol::tls::ServerName;
use crate::wire::{Reader, Truncated};

const HASH_LEN: usize = 12;
/// The handshake's stream.
const HANDSHAKE_STREAM: u32 = 1;
/// Tags of one message; the largest that Google's own code takes.
const TAGS_MAX: u16 = 128;

/// A packet of which everything is in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearPacket<'a> {
    /// Its version.
    pub version: Version,
    number: u8,
    header: &'a [u8],
    hash: [u8; HASH_LEN],
    frames: &'a [u8],
}

/// What a message of Google's handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// The client's hello, and the server that it wants.
    Hello(ServerName<'a>),
    /// The beginning of one.
    Begins,
    /// Something else.
    Other,
}

impl<'a> ClearPacket<'a> {
    /// Reads a packet that announces its version, as all do that a client sends before it was answered.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(datagram);
        let flags = reader.u8()?;
        let version = if flags & 0x80 == 0 {
            public_header(flags, &mut reader)?
        } else {
            long_header(flags, &mut reader, datagram)?
        };
        let number = version.google_in_clear().ok_or(Truncated)?;
        let header_len = datagram.len().saturating_sub(reader.rest().len());
        let (header, _) = datagram.split_at_checked(header_len).ok_or(Truncated)?;
        let hash = reader.array()?;
        let frames = reader.rest();
        Ok(Self {
            version,
            number,
            header,
            hash,
            frames,
        })
    }

    /// Whether the hash is that of a client, or of one of the versions where both sides had the same.
    pub fn is_whole(&self) -> bool {
        let bytes = [self.header, self.frames].into_iter().flatten();
        let sum = bytes.copied().fold(FNV_OFFSET, fnv);
        let of_client = b"Client".iter().copied().fold(sum, fnv);
        [of_client, sum]
            .into_iter()
            .any(|sum| sum.to_le_bytes().first_chunk() == Some(&self.hash))
    }

    /// Gives the pieces of the handshake with their offsets.
    pub fn pieces(&self, each: &mut impl FnMut(u64, &[u8])) -> Result<(), Truncated> {
        /// Since this version numbers are in network order.
        const BIG_ENDIAN: u8 = 39;
        frames(self.bare_frames()?, self.number >= BIG_ENDIAN, each)
    }

    /// The frames behind the private flags, which the hash covers, too.
    fn bare_frames(&self) -> Result<&'a [u8], Truncated> {
        /// The last version that has them.
        const PRIVATE_FLAGS: u8 = 33;
        /// The packet belongs to a group with redundancy; a byte says where that began.
        const IN_GROUP: u8 = 0x02;
        /// The packet is the redundancy of its group and has no frames.
        const REDUNDANCY: u8 = 0x04;
        if self.number > PRIVATE_FLAGS {
            return Ok(self.frames);
        }
        let mut reader = Reader::new(self.frames);
        let flags = reader.u8()?;
        if flags & REDUNDANCY != 0 {
            return Err(Truncated);
        }
        if flags & IN_GROUP != 0 {
            reader.skip(1)?;
        }
        Ok(reader.rest())
    }
}

/// Up to Q043: flags, an identifier of eight bytes, the version, the packet's number.
fn public_header(flags: u8, reader: &mut Reader<'_>) -> Result<Version, Truncated> {
    const HAS_VERSION: u8 = 0x01;
    const HAS_ID: u8 = 0x08;
    if flags & (HAS_VERSION | HAS_ID) != HAS_VERSION | HAS_ID {
        return Err(Truncated);
    }
    reader.skip(8)?;
    let version = Version(reader.u32()?);
    reader.skip(match flags >> 4 & 3 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 6,
    })?;
    Ok(version)
}

/// Q044 to Q049.
fn long_header<'a>(
    flags: u8,
    reader: &mut Reader<'a>,
    datagram: &'a [u8],
) -> Result<Version, Truncated> {
    let version = Version(reader.u32()?);
    let number_len = match version.google_in_clear() {
        Some(44) => 4,
        Some(45..) => usize::from(flags & 3).saturating_add(1),
        _ => return Err(Truncated),
    };
    if version.google_in_clear() == Some(49) {
        let protected = LongPacket::parse(datagram)?.protected(true)?;
        *reader = Reader::new(protected.bytes);
        reader.skip(protected.number_at)?;
    } else {
        let lengths = reader.u8()?;
        for nibble in [lengths >> 4, lengths & 0x0f] {
            // Nought, or three less than the length.
            reader.skip(usize::from(if nibble == 0 {
                0
            } else {
                nibble.saturating_add(3)
            }))?;
        }
    }
    reader.skip(number_len)?;
    Ok(version)
}

/// Gives the pieces of the handshake in Google's frames: those of stream 1, and those of CRYPTO that came with Q048.
pub fn frames(
    frames: &[u8],
    big_endian: bool,
    each: &mut impl FnMut(u64, &[u8]),
) -> Result<(), Truncated> {
    use super::header::varint;
    const PADDING: u8 = 0x00;
    const PING: u8 = 0x07;
    const CRYPTO: u8 = 0x08;
    let mut reader = Reader::new(frames);
    while !reader.is_empty() {
        match reader.u8()? {
            PADDING | PING => {}
            CRYPTO => {
                let offset = varint(&mut reader)?;
                let len = usize::try_from(varint(&mut reader)?).map_err(|_| Truncated)?;
                each(offset, reader.take(len)?);
            }
            kind @ 0x80.. => {
                let id = number(
                    &mut reader,
                    usize::from(kind & 3).saturating_add(1),
                    big_endian,
                )?;
                let offset_len = match kind >> 2 & 7 {
                    0 => 0,
                    len => usize::from(len).saturating_add(1),
                };
                let offset = number(&mut reader, offset_len, big_endian)?;
                let piece = if kind & 0x20 == 0 {
                    let rest = reader.rest();
                    reader = Reader::new(&[]);
                    rest
                } else {
                    let len = number(&mut reader, 2, big_endian)?;
                    reader.take(len as usize)?
                };
                if id == u64::from(HANDSHAKE_STREAM) {
                    each(offset, piece);
                }
            }
            // Acknowledgements have lengths that depend on the version. A client that sends one has sent its hello before.
            _ => return Err(Truncated),
        }
    }
    Ok(())
}

fn number(reader: &mut Reader<'_>, len: usize, big_endian: bool) -> Result<u64, Truncated> {
    let bytes = reader.take(len)?;
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Ok(if big_endian {
        bytes.iter().fold(0, push)
    } else {
        bytes.iter().rev().fold(0, push)
    })
}

/// Looks at the beginning of a handshake: `CHLO`, the number of tags, and for each its name and where its value ends.
pub fn look(message: &[u8]) -> Look<'_> {
    const CHLO: &[u8; 4] = b"CHLO";
    const SNI: [u8; 4] = *b"SNI\0";
    if !message.starts_with(CHLO) {
        return if CHLO.starts_with(message) {
            Look::Begins
        } else {
            Look::Other
        };
    }
    let mut reader = Reader::new(message);
    let mut read = || -> Result<Option<ServerName<'_>>, Truncated> {
        reader.skip(CHLO.len())?;
        let tags = u16::from_le_bytes(reader.array()?);
        reader.skip(2)?;
        if tags > TAGS_MAX {
            return Ok(None);
        }
        let mut index = reader.sub(usize::from(tags).saturating_mul(8))?;
        let (values, mut start) = (reader.rest(), 0u32);
        while !index.is_empty() {
            let tag: [u8; 4] = index.array()?;
            let end = u32::from_le_bytes(index.array()?);
            if end < start {
                return Ok(None);
            }
            if tag == SNI {
                let value = values.get(start as usize..end as usize).ok_or(Truncated)?;
                return Ok(Some(ServerName::of(value)));
            }
            start = end;
        }
        Ok(Some(ServerName::Absent))
    };
    match read() {
        Ok(Some(name)) => Look::Hello(name),
        Ok(None) => Look::Other,
        Err(Truncated) => Look::Begins,
    }
}

/// FNV-1a with 128 bits, by its authors' parameters (RFC 9923 §5).
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fnv(sum: u128, byte: u8) -> u128 {
    (sum ^ u128::from(byte)).wrapping_mul(FNV_PRIME)
}
