//! Segments of one side → its bytes in order, read on from behind gaps that last.

use super::Segment;
use crate::flow::{Delivery, StreamLimits, TcpStream};
use crate::model::Timestamp;

/// So many segments behind a gap, and what follows it is read.
pub(super) const GAP_SEGMENTS_MAX: usize = 32;
/// So long a gap is waited for: retransmissions have come by then.
const GAP_NANOS_MAX: u64 = 1_000_000_000;

/// Who reads a side.
pub(super) trait Side {
    /// Takes the next bytes.
    fn feed(&mut self, bytes: &[u8]);
    /// So many bytes will not come.
    fn lost(&mut self, bytes: u32);
    /// Whether what comes behind a gap can be read without what was in it.
    fn reads_on(&self) -> bool;
}

/// One side of a conversation.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    stream: TcpStream,
    /// When the gap began that segments wait for.
    gap_since: Option<Timestamp>,
}

impl Ordered {
    pub(super) fn reset(&mut self, next: u32) {
        self.stream.reset(next);
        self.gap_since = None;
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.stream.held_bytes()
    }

    /// Whether segments wait for a gap to close.
    pub(super) fn waits(&self) -> bool {
        self.stream.waiting() > 0
    }

    pub(super) fn shrink(&mut self, keep: usize) {
        self.stream.shrink(keep);
    }

    /// Takes a segment; `room` is what may be kept waiting, in bytes. `gaps` counts those that were passed over.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        limits: &StreamLimits,
        room: usize,
        gaps: &mut u64,
        side: &mut impl Side,
    ) -> Delivery {
        let (sequence, payload) = (segment.sequence, segment.payload);
        let stream = &mut self.stream;
        let mut delivery = stream.segment(sequence, payload, limits, room, &mut |bytes| {
            side.feed(bytes);
        });
        if side.reads_on() {
            let overdue = self
                .gap_since
                .is_some_and(|since| segment.time.since(since).as_nanos() as u64 > GAP_NANOS_MAX);
            if delivery == Delivery::NoRoom || stream.waiting() >= GAP_SEGMENTS_MAX || overdue {
                while let Some(gap) = stream.gap() {
                    *gaps = gaps.saturating_add(1);
                    side.lost(gap);
                    stream.pass_over(gap, &mut |bytes| side.feed(bytes));
                }
            }
            if delivery == Delivery::NoRoom {
                // It lies beyond everything that waited: what is between is lost.
                let ahead = sequence.wrapping_sub(stream.next());
                if ahead > 0 && ahead < 1 << 31 {
                    *gaps = gaps.saturating_add(1);
                    side.lost(ahead);
                    stream.reset(sequence);
                }
                delivery = stream.segment(sequence, payload, limits, room, &mut |bytes| {
                    side.feed(bytes);
                });
            }
            let end = sequence.wrapping_add(payload.len() as u32);
            if segment.missing > 0 && stream.next() == end {
                side.lost(segment.missing);
                stream.pass_over(segment.missing, &mut |bytes| side.feed(bytes));
            }
        }
        self.gap_since = match stream.waiting() {
            0 => None,
            _ => self.gap_since.or(Some(segment.time)),
        };
        delivery
    }
}
