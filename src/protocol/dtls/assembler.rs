//! Fragments of a handshake message in any order → one ClientHello (RFC 6347 §4.2.3).

use super::Fragment;
use crate::protocol::Progress;
use crate::protocol::tls::{ClientHello, HELLO_BYTES_MAX, HelloTransport};

/// Pieces apart from each other that are kept at a time: a hello of 2 kB in pieces of 64 bytes, every other one missing.
const PIECES_MAX: usize = 32;

/// Collects the message. Reused from flow to flow: [`Self::reset`] keeps the memory.
///
/// Where fragments contradict each other, what came first counts. A later message of the handshake takes the place of an earlier one.
#[derive(Debug, Default)]
pub struct DtlsHello {
    body: Vec<u8>,
    message_seq: Option<u16>,
    /// Begin and end of what is there, in order, never touching each other.
    pieces: Vec<(u32, u32)>,
    done: bool,
}

impl DtlsHello {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.body.clear();
        self.pieces.clear();
        self.message_seq = None;
        self.done = false;
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.body.len()
    }

    /// Gives back memory that an unusual hello needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.body.shrink_to(keep);
    }

    /// Takes a fragment. [`Progress::Mismatch`] for one that cannot be kept.
    pub fn feed(&mut self, fragment: &Fragment<'_>) -> Progress {
        let (begin, end) = (
            fragment.offset,
            fragment.offset.saturating_add(fragment.bytes.len() as u32),
        );
        if end > fragment.message_len || fragment.message_len > HELLO_BYTES_MAX {
            return Progress::Mismatch;
        }
        match self.message_seq {
            Some(seq) if fragment.message_seq < seq => return Progress::Mismatch,
            Some(seq) if fragment.message_seq == seq => {
                if self.body.len() != fragment.message_len as usize {
                    return Progress::Mismatch;
                }
            }
            _ => {
                self.reset();
                self.message_seq = Some(fragment.message_seq);
                self.body.resize(fragment.message_len as usize, 0);
            }
        }
        if self.done {
            return Progress::Done;
        }
        if !self.put(begin, end, fragment.bytes) {
            return Progress::Mismatch;
        }
        if self.pieces != [(0, fragment.message_len)] {
            return Progress::NeedMore;
        }
        self.done = true;
        match self.hello() {
            Some(_) => Progress::Done,
            None => Progress::Mismatch,
        }
    }

    /// The hello, once [`Progress::Done`].
    pub fn hello(&self) -> Option<ClientHello<'_>> {
        if !self.done {
            return None;
        }
        ClientHello::of_body(&self.body, HelloTransport::Dtls)
    }

    /// Puts a piece where nothing is yet; false if it cannot be remembered.
    fn put(&mut self, begin: u32, end: u32, bytes: &[u8]) -> bool {
        // What lies between the pieces that are there.
        let mut at = begin;
        let touching = |piece: &(u32, u32)| piece.0 <= end && piece.1 >= begin;
        let merged = self
            .pieces
            .iter()
            .filter(|piece| touching(piece))
            .fold((begin, end), |(first, last), piece| {
                (first.min(piece.0), last.max(piece.1))
            });
        let apart = self.pieces.iter().filter(|piece| !touching(piece)).count();
        if apart >= PIECES_MAX || begin == end && end != 0 {
            return false;
        }
        for &(from, to) in self.pieces.iter().chain(&[(u32::MAX, u32::MAX)]) {
            copy(&mut self.body, begin, at, from.min(end), bytes);
            at = at.max(to.min(end));
        }
        self.pieces.retain(|piece| !touching(piece));
        let place = self.pieces.partition_point(|piece| piece.0 < merged.0);
        self.pieces.insert(place, merged);
        true
    }
}

/// Copies what is between `from` and `to` of a message out of bytes that stand at `begin` in it.
fn copy(body: &mut [u8], begin: u32, from: u32, to: u32, bytes: &[u8]) {
    let within = from.saturating_sub(begin) as usize..to.saturating_sub(begin) as usize;
    if let (Some(place), Some(piece)) =
        (body.get_mut(from as usize..to as usize), bytes.get(within))
        && place.len() == piece.len()
    {
        place.copy_from_slice(piece);
    }
}
