//! Names of DNS messages → text (RFC 1035 §3.1, §4.1.4).
//!
//! A dot or a backslash inside a label is written with a backslash before it, so that no name reads like another one.

use crate::wire::Truncated;

/// Octets of a name on the wire, with the lengths of its labels.
const NAME_OCTETS_MAX: usize = 255;
/// The longest text of a name: every octet may need a backslash.
pub const NAME_TEXT_MAX: usize = 2 * NAME_OCTETS_MAX;
/// Compression pointers followed in one name: each leads backwards, and no encoder needs more than one a label.
const POINTERS_MAX: u8 = 128;

/// Appends the name at `at` to `text`; returns the position behind it.
pub(super) fn read(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Result<usize, Truncated> {
    let begin = text.len();
    let result = walk(bytes, at, &mut |label| {
        if text.len() > begin {
            text.push(b'.');
        }
        for byte in label {
            if matches!(byte, b'.' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
    });
    if result.is_err() {
        text.truncate(begin);
    }
    result
}

/// The position behind the name at `at`.
pub(super) fn skip(bytes: &[u8], at: usize) -> Result<usize, Truncated> {
    walk(bytes, at, &mut |_| ())
}

/// Walks the labels of the name at `at`; returns the position behind it, where it was first left by a pointer.
fn walk(
    bytes: &[u8],
    at: usize,
    each: &mut impl FnMut(&[u8]),
) -> Result<usize, Truncated> {
    let mut at = at;
    let mut behind = None;
    let mut octets = 0usize;
    let mut pointers = 0u8;
    loop {
        let rest = bytes.get(at..).ok_or(Truncated)?;
        match rest {
            [0, ..] => return Ok(behind.unwrap_or(at.saturating_add(1))),
            [high @ 0xc0..=0xff, low, ..] => {
                let target = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                pointers = pointers.saturating_add(1);
                // Forwards, or to itself, only a broken or hostile message points.
                if target >= at || pointers > POINTERS_MAX {
                    return Err(Truncated);
                }
                behind.get_or_insert(at.saturating_add(2));
                at = target;
            }
            [len @ 1..=63, label @ ..] => {
                let len = usize::from(*len);
                let label = label.get(..len).ok_or(Truncated)?;
                octets = octets.saturating_add(len).saturating_add(1);
                if octets >= NAME_OCTETS_MAX {
                    return Err(Truncated);
                }
                each(label);
                at = at.saturating_add(len).saturating_add(1);
            }
            _ => return Err(Truncated),
        }
    }
}
