//! Bytes of a TCP stream in any pieces → DNS messages, each behind its length (RFC 1035 §4.2.2, RFC 7766 §8).

use super::{HEADER_LEN, looks_like_message, plausible_header};
use crate::protocol::Progress;

/// Messages of one direction. Reused from flow to flow: [`Self::reset`] keeps the memory. Holds at most one message: 64 KiB.
#[derive(Debug, Default)]
pub struct StreamAssembler {
    held: Vec<u8>,
}

impl StreamAssembler {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.held.clear();
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Gives back memory that an unusual message needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.held.shrink_to(keep);
    }

    /// Takes the next bytes; `each` is given every message that is complete.
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Progress {
        while !bytes.is_empty() {
            if self.held.is_empty()
                && let Some((message, rest)) = split(bytes)
            {
                each(message);
                bytes = rest;
                continue;
            }
            let missing = missing(&self.held, bytes);
            let (part, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
            self.held.extend_from_slice(part);
            bytes = rest;
            if let Some((message, _)) = split(&self.held) {
                each(message);
                self.held.clear();
            }
            if too_short(&self.held) {
                self.held.clear();
                return Progress::Mismatch;
            }
        }
        Progress::NeedMore
    }
}

/// A whole message behind its length, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*len));
    if len < HEADER_LEN {
        return None;
    }
    rest.split_at_checked(len)
}

/// How many bytes the message that is held still needs; at least one.
fn missing(held: &[u8], more: &[u8]) -> usize {
    let mut head = held.iter().chain(more).copied();
    let len = match (head.next(), head.next()) {
        (Some(high), Some(low)) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    len.saturating_add(2).saturating_sub(held.len()).max(1)
}

/// No message is shorter than its header: out of step.
fn too_short(held: &[u8]) -> bool {
    held.first_chunk::<2>()
        .is_some_and(|len| usize::from(u16::from_be_bytes(*len)) < HEADER_LEN)
}

/// Whether a stream begins with a length and, as far as it goes, a message.
pub fn looks_like_stream(stream: &[u8]) -> bool {
    match stream.split_first_chunk::<2>() {
        None => stream.first().is_some_and(|high| *high <= 0x40),
        Some((len, [])) => usize::from(u16::from_be_bytes(*len)) >= HEADER_LEN,
        Some((len, message)) => {
            let len = usize::from(u16::from_be_bytes(*len));
            len >= HEADER_LEN
                && match message.get(..len) {
                    Some(whole) => looks_like_message(whole),
                    None => message.len() < HEADER_LEN || plausible_header(message),
                }
        }
    }
}

/// Whole and in two pieces the messages are the same.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub(super) fn check_pieces(bytes: &[u8], cut: usize) {
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let collect = |pieces: &[&[u8]]| {
        let (mut assembler, mut messages) = (StreamAssembler::default(), Vec::new());
        for piece in pieces {
            let progress = assembler.feed(piece, &mut |message| messages.push(message.to_vec()));
            if progress == Progress::Mismatch {
                break;
            }
        }
        messages
    };
    assert!(
        collect(&[bytes]) == collect(&[head, tail]),
        "pieces give other messages"
    );
}
