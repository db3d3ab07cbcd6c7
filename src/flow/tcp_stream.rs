//! Segments of one direction, in any order → the bytes in order, once each, up to a limit.
//!
//! Where segments contradict each other, the bytes that came first count: delivered bytes are never taken back, and of the
//! segments that wait, the one that came first fills a gap.

/// How much of a stream is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes from the beginning of the stream that are of interest; what lies behind is passed over.
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
    /// It brought nothing new, or lies outside the window.
    Nothing,
    /// There is no room for it to wait.
    NoRoom,
}

/// One direction of a connection. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct TcpStream {
    start: u32,
    /// Bytes delivered.
    delivered: u32,
    waiting: Vec<Waiting>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Offset in the stream.
    offset: u32,
    at: u32,
    len: u32,
}

impl TcpStream {
    /// Begins a stream whose first byte has this sequence number.
    pub fn reset(&mut self, start: u32) {
        self.start = start;
        self.delivered = 0;
        self.waiting.clear();
        self.bytes.clear();
    }

    /// Memory held for waiting segments.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
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
        let offset = sequence.wrapping_sub(self.start);
        // More than half of the number space ahead is behind: a repetition from before the beginning.
        if offset >= 1 << 31 {
            let before = offset.wrapping_neg() as usize;
            return match payload.get(before..) {
                Some(rest) if !rest.is_empty() => self.in_window(0, rest, limits, room, deliver),
                _ => Delivery::Nothing,
            };
        }
        self.in_window(offset, payload, limits, room, deliver)
    }

    fn in_window(
        &mut self,
        offset: u32,
        payload: &[u8],
        limits: &StreamLimits,
        room: usize,
        deliver: &mut impl FnMut(&[u8]),
    ) -> Delivery {
        let space = limits.window_bytes.saturating_sub(offset) as usize;
        let payload = payload.get(..space).unwrap_or(payload);
        if offset > self.delivered {
            return self.wait(offset, payload, limits, room);
        }
        let known = self.delivered.saturating_sub(offset) as usize;
        match payload.get(known..) {
            Some(new) if !new.is_empty() => {
                self.deliver(new, deliver);
                self.drain(deliver);
                Delivery::Advanced
            }
            _ => Delivery::Nothing,
        }
    }

    fn wait(
        &mut self,
        offset: u32,
        payload: &[u8],
        limits: &StreamLimits,
        room: usize,
    ) -> Delivery {
        if payload.is_empty() {
            return Delivery::Nothing;
        }
        let len = payload.len() as u32;
        let end = offset.saturating_add(len);
        let repeated = self
            .waiting
            .iter()
            .any(|other| other.offset <= offset && end <= other.offset.saturating_add(other.len));
        if repeated {
            return Delivery::Nothing;
        }
        if self.waiting.len() >= limits.waiting_segments_max || payload.len() > room {
            return Delivery::NoRoom;
        }
        self.waiting.push(Waiting {
            offset,
            at: self.bytes.len() as u32,
            len,
        });
        self.bytes.extend_from_slice(payload);
        Delivery::Waiting
    }

    fn deliver(&mut self, bytes: &[u8], deliver: &mut impl FnMut(&[u8])) {
        self.delivered = self.delivered.saturating_add(bytes.len() as u32);
        deliver(bytes);
    }

    /// Delivers waiting segments that the stream has reached, first come first.
    fn drain(&mut self, deliver: &mut impl FnMut(&[u8])) {
        loop {
            let delivered = self.delivered;
            let reached = self.waiting.iter().position(|waiting| {
                waiting.offset <= delivered
                    && delivered < waiting.offset.saturating_add(waiting.len)
            });
            let Some(waiting) = reached.and_then(|at| self.waiting.get(at)).copied() else {
                break;
            };
            let begin = waiting
                .at
                .saturating_add(delivered.saturating_sub(waiting.offset))
                as usize;
            let end = waiting.at.saturating_add(waiting.len) as usize;
            let bytes = std::mem::take(&mut self.bytes);
            self.deliver(bytes.get(begin..end).unwrap_or_default(), deliver);
            self.bytes = bytes;
        }
        let delivered = self.delivered;
        self.waiting
            .retain(|waiting| waiting.offset.saturating_add(waiting.len) > delivered);
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
            Delivery::Nothing
        );
        stream.reset(0);
        assert_eq!(
            stream.segment(2, b"abc", &limits, 2, &mut none),
            Delivery::NoRoom
        );
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
