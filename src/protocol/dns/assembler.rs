//! A TCP stream in any pieces → DNS messages, each behind its length (RFC 1035 §4.2.2, RFC 7766 §8).

use super::HEADER_LEN;
use crate::protocol::Progress;

const PREFIX_LEN: usize = 2;

/// Cuts a stream into messages. Holds one message at most, 64 KiB, which is as long as one can be; one that lies whole in a
/// piece is not copied. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct StreamAssembler {
    /// Length and message, as far as they have come.
    held: Vec<u8>,
    mismatch: bool,
}

impl StreamAssembler {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.held.clear();
        self.mismatch = false;
    }

    /// Memory in use.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Begins anew and gives back memory that an unusual message needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.held.shrink_to(keep);
    }

    /// Takes the next bytes of the stream and gives each message that is whole to `each`, in order.
    ///
    /// [`Progress::Done`]: the stream stands between two messages. [`Progress::Mismatch`]: a length that is shorter than a
    /// header; nothing is read from there on until [`Self::reset`].
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Progress {
        while !self.mismatch && !bytes.is_empty() {
            bytes = if self.held.is_empty() {
                self.take_in_place(bytes, each)
            } else {
                self.take_piece(bytes, each)
            };
        }
        if self.mismatch {
            Progress::Mismatch
        } else if self.held.is_empty() {
            Progress::Done
        } else {
            Progress::NeedMore
        }
    }

    /// A message that lies whole in `bytes`, or else what there is of it is kept.
    fn take_in_place<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(&[u8])) -> &'a [u8] {
        if let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_LEN>() {
            let len = usize::from(u16::from_be_bytes(*prefix));
            if len < HEADER_LEN {
                self.mismatch = true;
                return &[];
            }
            if let Some((message, rest)) = rest.split_at_checked(len) {
                each(message);
                return rest;
            }
        }
        self.held.extend_from_slice(bytes);
        &[]
    }

    /// The next piece of a message that has begun.
    fn take_piece<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let wanted = match self.held.first_chunk::<PREFIX_LEN>() {
            None => PREFIX_LEN,
            Some(prefix) => {
                let len = usize::from(u16::from_be_bytes(*prefix));
                PREFIX_LEN.saturating_add(len)
            }
        };
        let missing = wanted.saturating_sub(self.held.len());
        let (piece, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(piece);
        if self.held.len() == wanted {
            if wanted == PREFIX_LEN {
                let len = self.held.first_chunk::<PREFIX_LEN>();
                let len = len.map_or(0, |prefix| usize::from(u16::from_be_bytes(*prefix)));
                self.mismatch = len < HEADER_LEN;
            } else {
                each(self.held.get(PREFIX_LEN..).unwrap_or_default());
                self.held.clear();
            }
        }
        rest
    }
}
