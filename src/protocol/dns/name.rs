//! A domain name in a message → text, through its compression pointers (RFC 1035 §3.1, §4.1.4).

use super::DnsError;

/// The longest name that is taken, on the wire and written out: RFC 1035 §2.3.4 allows 255 bytes on the wire, at most 253
/// characters of text. Escapes could make text longer: such a name is refused, no host has one.
pub const NAME_TEXT_MAX: usize = 255;
/// Pointers followed in one name. Encoders need one or two; a name has at most 127 labels.
pub const POINTERS_MAX: u32 = 64;

const WIRE_LEN_MAX: usize = 255;
const LABEL_LEN_MAX: u8 = 63;
const POINTER: u8 = 0xc0;

/// Where a name that begins at `start` ends in place, that is at its first pointer or its root label. No pointer is followed.
#[inline]
pub(in crate::protocol) fn end_in_place(message: &[u8], start: usize) -> Result<usize, DnsError> {
    let mut at = start;
    loop {
        let len = *message.get(at).ok_or(DnsError::Truncated)?;
        if len == 0 {
            return Ok(at.saturating_add(1));
        }
        if len & POINTER == POINTER {
            let end = at.saturating_add(2);
            return if end <= message.len() {
                Ok(end)
            } else {
                Err(DnsError::Truncated)
            };
        }
        if len > LABEL_LEN_MAX {
            return Err(DnsError::BadLabel);
        }
        at = at.saturating_add(1).saturating_add(usize::from(len));
        if at.saturating_sub(start) >= WIRE_LEN_MAX {
            return Err(DnsError::NameTooLong);
        }
    }
}

/// Gives the labels of the name at `start` to `each`, in order.
#[inline]
pub(in crate::protocol) fn labels<'a>(
    message: &'a [u8],
    start: usize,
    mut each: impl FnMut(&'a [u8]),
) -> Result<(), DnsError> {
    let mut at = start;
    // A pointer must go before the place where the labels that it ends began: so there is no way round.
    let mut began = start;
    let mut pointers = 0;
    let mut wire_len = 1usize;
    loop {
        let len = *message.get(at).ok_or(DnsError::Truncated)?;
        if len == 0 {
            return Ok(());
        }
        let behind = at.saturating_add(1);
        if len & POINTER == POINTER {
            let low = *message.get(behind).ok_or(DnsError::Truncated)?;
            let target = usize::from(u16::from_be_bytes([len & !POINTER, low]));
            pointers = u32::saturating_add(pointers, 1);
            if target >= began || pointers > POINTERS_MAX {
                return Err(DnsError::BadPointer);
            }
            began = target;
            at = target;
            continue;
        }
        if len > LABEL_LEN_MAX {
            return Err(DnsError::BadLabel);
        }
        let end = behind.saturating_add(usize::from(len));
        let label = message.get(behind..end).ok_or(DnsError::Truncated)?;
        wire_len = wire_len.saturating_add(label.len()).saturating_add(1);
        if wire_len > WIRE_LEN_MAX {
            return Err(DnsError::NameTooLong);
        }
        each(label);
        at = end;
    }
}

/// Appends the name at `start` to `text`: labels in their case with dots between, none at the end, the root as one dot. A dot
/// or a backslash within a label is escaped by a backslash, so that no name can be taken for another.
///
/// After an error `text` is as it was.
#[inline]
pub(super) fn append(message: &[u8], start: usize, text: &mut Vec<u8>) -> Result<(), DnsError> {
    let before = text.len();
    let result = labels(message, start, |label| {
        if text.len() > before {
            text.push(b'.');
        }
        if label.iter().any(|byte| matches!(byte, b'.' | b'\\')) {
            for byte in label {
                if matches!(byte, b'.' | b'\\') {
                    text.push(b'\\');
                }
                text.push(*byte);
            }
        } else {
            text.extend_from_slice(label);
        }
    });
    let result = match result {
        Ok(()) if text.len().saturating_sub(before) > NAME_TEXT_MAX => Err(DnsError::NameTooLong),
        other => other,
    };
    match result {
        Ok(()) if text.len() == before => text.push(b'.'),
        Ok(()) => {}
        Err(_) => text.truncate(before),
    }
    result
}

/// Whether the name at `start` can be read and has printable ASCII only.
pub(super) fn is_printable(message: &[u8], start: usize) -> bool {
    let mut printable = true;
    let read = labels(message, start, |label| {
        printable &= label.iter().all(|byte| (0x20..0x7f).contains(byte));
    });
    read.is_ok() && printable
}
