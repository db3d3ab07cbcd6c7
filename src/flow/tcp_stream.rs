//! Segments of one direction, in any order → the bytes in order, once each.
//!
//! Where segments contradict each other, the bytes that came first count: delivered bytes are never taken back, and of the
//! segments that wait, the one that came first fills a gap. The window moves with the bytes delivered, so a stream may be of
//! any length.

/// How much of a stream is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// How far ahead of the next expected byte a segment may lie.
    pub window_bytes: u32,
    /// Segments that may wait for a gap to close.
    pub waiting_segments_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            // The longest handshake message that is read, with record headers between.
            window_bytes: 64 << 10,
            // A post-quantum hello in segments of 16 bytes, all of them swapped, is about 110.
            waiting_segments_max: 256,
        }
    }
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It extended the stream, perhaps with segments that had waited.
    Advanced,
    /// It waits for a gap to close.
    Waiting,
    /// It brought nothing new.
    Nothing,
    /// It lies too far ahead, or there is no room for it to wait.
    NoRoom,
}

/// One direction of a connection. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct TcpStream {
    /// Sequence number of the next byte to deliver.
    next: u32,
    waiting: Vec<Waiting>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    sequence: u32,
    at: u32,
    len: u32,
}

impl Waiting {
    /// How many bytes of it lie behind `sequence`, which it reaches; `None` if it begins later or ends before.
    fn reached(&self, sequence: u32) -> Option<u32> {
        let known = sequence.wrapping_sub(self.sequence);
        (known < self.len).then_some(known)
    }
}

/// Half of the number space: what is farther ahead is behind (RFC 9293 §3.4).
const HALF: u32 = 1 << 31;

impl TcpStream {
    /// Begins a stream whose next byte has this sequence number.
    pub fn reset(&mut self, next: u32) {
        self.next = next;
        self.waiting.clear();
        self.bytes.clear();
    }

    /// Sequence number of the next byte that is expected.
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// Memory held for waiting segments.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Segments that wait for a gap to close.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Gives back memory that an unusual stream needed.
    pub fn shrink(&mut self, keep: usize) {
        /// Waiting segments that a usual stream has.
        const KEEP_WAITING: usize = 16;
        self.waiting.clear();
        self.waiting.shrink_to(KEEP_WAITING);
        self.bytes.clear();
        self.bytes.shrink_to(keep);
    }

    /// Takes a segment; `deliver` is given the bytes that are now in order. `room` is what may be kept waiting, in bytes.
    pub fn segment(
        &mut self,
        sequence: u32,
        payload: &[u8],
        limits: &StreamLimits,
        room: usize,
        deliver: &mut impl FnMut(&[u8]),
    ) -> Delivery {
        let ahead = sequence.wrapping_sub(self.next);
        if ahead == 0 || ahead >= HALF {
            let known = ahead.wrapping_neg() as usize;
            return match payload.get(known..) {
                Some(new) if !new.is_empty() => {
                    self.deliver(new, deliver);
                    self.drain(deliver);
                    Delivery::Advanced
                }
                _ => Delivery::Nothing,
            };
        }
        if ahead >= limits.window_bytes {
            return Delivery::NoRoom;
        }
        let space = limits.window_bytes.saturating_sub(ahead) as usize;
        let payload = payload.get(..space).unwrap_or(payload);
        self.wait(sequence, payload, limits, room)
    }

    /// Bytes missing before the nearest waiting segment; `None` if nothing waits.
    pub fn gap(&self) -> Option<u32> {
        self.waiting
            .iter()
            .map(|waiting| waiting.sequence.wrapping_sub(self.next))
            .min()
    }

    /// Gives up `bytes` that will not come, and delivers what waits behind them.
    pub fn pass_over(&mut self, bytes: u32, deliver: &mut impl FnMut(&[u8])) {
        self.next = self.next.wrapping_add(bytes);
        self.drain(deliver);
    }

    fn wait(
        &mut self,
        sequence: u32,
        payload: &[u8],
        limits: &StreamLimits,
        room: usize,
    ) -> Delivery {
        if payload.is_empty() {
            return Delivery::Nothing;
        }
        let len = payload.len() as u32;
        let repeated = self.waiting.iter().any(|other| {
            other
                .reached(sequence)
                .is_some_and(|known| len <= other.len.saturating_sub(known))
        });
        if repeated {
            return Delivery::Nothing;
        }
        if self.waiting.len() >= limits.waiting_segments_max || payload.len() > room {
            return Delivery::NoRoom;
        }
        self.waiting.push(Waiting {
            sequence,
            at: self.bytes.len() as u32,
            len,
        });
        self.bytes.extend_from_slice(payload);
        Delivery::Waiting
    }

    fn deliver(&mut self, bytes: &[u8], deliver: &mut impl FnMut(&[u8])) {
        self.next = self.next.wrapping_add(bytes.len() as u32);
        deliver(bytes);
    }

    /// Delivers waiting segments that the stream has reached, first come first.
    fn drain(&mut self, deliver: &mut impl FnMut(&[u8])) {
        loop {
            let next = self.next;
            let reached = self
                .waiting
                .iter()
                .find_map(|waiting| Some((*waiting, waiting.reached(next)?)));
            let Some((waiting, known)) = reached else {
                break;
            };
            let begin = waiting.at.saturating_add(known) as usize;
            let end = waiting.at.saturating_add(waiting.len) as usize;
            let bytes = std::mem::take(&mut self.bytes);
            self.deliver(bytes.get(begin..end).unwrap_or_default(), deliver);
            self.bytes = bytes;
        }
        let next = self.next;
        // What ends at or before the next byte has been delivered.
        self.waiting.retain(|waiting| {
            let end = waiting.sequence.wrapping_add(waiting.len);
            let left = end.wrapping_sub(next);
            left > 0 && left < HALF
        });
        if self.waiting.is_empty() {
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 1 << 20;

    #[test]
    fn the_first_bytes_count_where_segments_contradict() {
        let mut stream = TcpStream::default();
        stream.reset(100);
        let mut got = Vec::new();
        let limits = StreamLimits::default();
        assert_eq!(
            stream.segment(104, b"EF", &limits, ROOM, &mut |bytes| got
                .extend_from_slice(bytes)),
            Delivery::Waiting
        );
        assert_eq!(
            stream.segment(103, b"xyz", &limits, ROOM, &mut |bytes| got
                .extend_from_slice(bytes)),
            Delivery::Waiting
        );
        assert_eq!(
            stream.segment(100, b"abcd", &limits, ROOM, &mut |bytes| got
                .extend_from_slice(bytes)),
            Delivery::Advanced
        );
        assert_eq!(got, b"abcdEF");
    }

    #[test]
    fn limits_refuse_and_say_so() {
        let limits = StreamLimits {
            window_bytes: 10,
            waiting_segments_max: 2,
        };
        let mut stream = TcpStream::default();
        stream.reset(0);
        let mut none = |_: &[u8]| panic!("nothing is in order");
        assert_eq!(
            stream.segment(2, b"a", &limits, ROOM, &mut none),
            Delivery::Waiting
        );
        assert_eq!(
            stream.segment(4, b"a", &limits, ROOM, &mut none),
            Delivery::Waiting
        );
        assert_eq!(
            stream.segment(6, b"a", &limits, ROOM, &mut none),
            Delivery::NoRoom
        );
        assert_eq!(
            stream.segment(20, b"a", &limits, ROOM, &mut none),
            Delivery::NoRoom
        );
        stream.reset(0);
        assert_eq!(
            stream.segment(2, b"abc", &limits, 2, &mut none),
            Delivery::NoRoom
        );
    }

    #[test]
    fn a_gap_that_never_closes_can_be_given_up() {
        let limits = StreamLimits::default();
        let mut stream = TcpStream::default();
        stream.reset(u32::MAX - 1);
        let mut got = Vec::new();
        let mut take = |bytes: &[u8]| got.extend_from_slice(bytes);
        stream.segment(u32::MAX - 1, b"ab", &limits, ROOM, &mut take);
        stream.segment(5, b"xy", &limits, ROOM, &mut take);
        assert_eq!(stream.gap(), Some(5));
        stream.pass_over(5, &mut take);
        assert_eq!(stream.gap(), None);
        stream.segment(7, b"z", &limits, ROOM, &mut take);
        assert_eq!(got, b"abxyz");
    }

    #[test]
    fn a_stream_longer_than_the_number_space_goes_on() {
        let limits = StreamLimits::default();
        let mut stream = TcpStream::default();
        stream.reset(0);
        let (mut sequence, mut total) = (0u32, 0u64);
        let payload = vec![0; 1 << 20];
        for _ in 0..(5 << 10) {
            stream.segment(sequence, &payload, &limits, ROOM, &mut |bytes| {
                total += bytes.len() as u64;
            });
            sequence = sequence.wrapping_add(1 << 20);
        }
        assert_eq!(total, 5 << 30);
    }

    proptest! {
        /// Against a map of bytes: any order, repetitions, overlaps and a wrapping sequence number give the stream.
        #[test]
        fn any_order_gives_the_stream(
            start in any::<u32>(),
            content in proptest::collection::vec(any::<u8>(), 1..400),
            cuts in proptest::collection::vec((0usize..400, 1usize..60), 1..120),
        ) {
            let limits = StreamLimits { window_bytes: 64 << 10, waiting_segments_max: 1000 };
            let mut stream = TcpStream::default();
            stream.reset(start);
            let mut got = Vec::new();
            let mut seen = vec![false; content.len()];
            for (at, len) in cuts {
                let at = at % content.len();
                let end = (at + len).min(content.len());
                stream.segment(
                    start.wrapping_add(at as u32),
                    &content[at..end],
                    &limits,
                    ROOM,
                    &mut |bytes| got.extend_from_slice(bytes),
                );
                seen[at..end].fill(true);
                let expected = seen.iter().take_while(|seen| **seen).count();
                prop_assert_eq!(&got[..], &content[..expected]);
            }
        }
    }
}
