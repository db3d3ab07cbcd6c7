//! The frames of a client's Initial packet → the pieces of its CRYPTO stream (RFC 9000 §19).

use super::header::varint;
use crate::wire::{Reader, Truncated};

const PADDING: u64 = 0x00;
const PING: u64 = 0x01;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const CRYPTO: u64 = 0x06;
const CONNECTION_CLOSE: u64 = 0x1c;
const APPLICATION_CLOSE: u64 = 0x1d;

/// Gives every piece of CRYPTO with its offset. What lies behind a frame that an Initial must not have (RFC 9000 §12.4), or
/// behind damage, is left; what came before counts.
pub fn crypto(frames: &[u8], each: &mut impl FnMut(u64, &[u8])) -> Result<(), Truncated> {
    let mut reader = Reader::new(frames);
    while !reader.is_empty() {
        match varint(&mut reader)? {
            PADDING => {
                let rest = reader.rest();
                let padding = rest.iter().take_while(|byte| **byte == 0).count();
                reader.skip(padding)?;
            }
            PING => {}
            CRYPTO => {
                let offset = varint(&mut reader)?;
                let len = length(&mut reader)?;
                each(offset, reader.take(len)?);
            }
            kind @ (ACK | ACK_ECN) => ack(&mut reader, kind == ACK_ECN)?,
            kind @ (CONNECTION_CLOSE | APPLICATION_CLOSE) => {
                varint(&mut reader)?;
                if kind == CONNECTION_CLOSE {
                    varint(&mut reader)?;
                }
                let len = length(&mut reader)?;
                reader.skip(len)?;
            }
            _ => return Err(Truncated),
        }
    }
    Ok(())
}

/// [RFC 9000 §19.3]
fn ack(reader: &mut Reader<'_>, has_ecn: bool) -> Result<(), Truncated> {
    // Largest, delay; then the number of further ranges, and the first.
    varint(reader)?;
    varint(reader)?;
    let ranges = varint(reader)?;
    varint(reader)?;
    for _ in 0..ranges {
        // Each range takes two bytes at least, so the frames end before a large number does.
        varint(reader)?;
        varint(reader)?;
    }
    for _ in 0..if has_ecn { 3 } else { 0 } {
        varint(reader)?;
    }
    Ok(())
}

fn length(reader: &mut Reader<'_>) -> Result<usize, Truncated> {
    usize::try_from(varint(reader)?).map_err(|_| Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(frames: &[u8]) -> (Vec<(u64, Vec<u8>)>, bool) {
        let mut pieces = Vec::new();
        let result = crypto(frames, &mut |offset, piece| {
            pieces.push((offset, piece.to_vec()));
        });
        (pieces, result.is_ok())
    }

    #[test]
    fn pieces_are_found_between_other_frames() {
        let frames = [
            &b"\x01\0\0\0\x06\x05\x03abc"[..],
            b"\x02\x09\x00\x01\x02\x01\x01",
            b"\x03\x09\x00\x00\x02\x01\x01\x01",
            b"\x1c\x01\x06\x02no",
            b"\x1d\x01\x00",
            b"\x06\x40\x00\x02de\0\0\0",
        ]
        .concat();
        let expected = vec![(5, b"abc".to_vec()), (0, b"de".to_vec())];
        assert_eq!(pieces(&frames), (expected, true));
    }

    #[test]
    fn damage_leaves_what_came_before() {
        let before = b"\x06\x05\x03abc".to_vec();
        for damage in [
            &b"\x08abc"[..],
            b"\x06\0\x09a",
            b"\x06\0\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x02\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
            b"\x40",
        ] {
            let frames = [&before, damage].concat();
            assert_eq!(pieces(&frames), (vec![(5, b"abc".to_vec())], false));
        }
    }
}
