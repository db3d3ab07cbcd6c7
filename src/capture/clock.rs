//! Timestamps of frames → stream time, which never steps back and is not led astray by one wild timestamp.

use std::time::Duration;

use crate::model::Timestamp;

/// A forward jump longer than this waits for packets that agree. A capture may have quiet nights, but a single
/// frame a year ahead must not end every flow.
const JUMP_MAX: Duration = Duration::from_secs(3600);

/// So many frames in a row must agree before a jump counts.
const AGREEING_FRAMES: u8 = 3;

/// Counts of what was odd about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockStats {
    /// Frames earlier than stream time.
    pub steps_back: u64,
    /// Frames further ahead than the jump limit, whether they were believed in the end or not.
    pub jumps: u64,
}

/// The running maximum of timestamps.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamClock {
    now: Option<Timestamp>,
    candidate: Option<(Timestamp, u8)>,
    stats: ClockStats,
}

impl StreamClock {
    /// Takes the next frame's timestamp and returns its stream time.
    #[inline]
    pub fn stamp(&mut self, timestamp: Timestamp) -> Timestamp {
        let Some(now) = self.now else {
            self.now = Some(timestamp);
            return timestamp;
        };
        if timestamp <= now {
            self.stats.steps_back += u64::from(timestamp < now);
            self.candidate = None;
            return now;
        }
        if timestamp.as_nanos() - now.as_nanos() <= JUMP_MAX.as_secs() * 1_000_000_000 {
            self.candidate = None;
            self.now = Some(timestamp);
            return timestamp;
        }
        self.jump(timestamp, now)
    }

    #[cold]
    fn jump(&mut self, timestamp: Timestamp, now: Timestamp) -> Timestamp {
        self.stats.jumps += 1;
        let (latest, agreeing) = match self.candidate {
            Some((other, count))
                if timestamp.since(other).max(other.since(timestamp)) <= JUMP_MAX =>
            {
                (timestamp.max(other), count + 1)
            }
            _ => (timestamp, 1),
        };
        if agreeing >= AGREEING_FRAMES {
            self.candidate = None;
            self.now = Some(latest);
            return latest;
        }
        self.candidate = Some((latest, agreeing));
        now
    }

    /// What was odd so far.
    pub fn stats(&self) -> ClockStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    #[test]
    fn time_never_steps_back() {
        let mut clock = StreamClock::default();
        assert_eq!(clock.stamp(seconds(100)), seconds(100));
        assert_eq!(clock.stamp(seconds(90)), seconds(100));
        assert_eq!(clock.stamp(seconds(101)), seconds(101));
        assert_eq!(clock.stats().steps_back, 1);
    }

    #[test]
    fn one_wild_frame_does_not_move_time() {
        let mut clock = StreamClock::default();
        clock.stamp(seconds(100));
        assert_eq!(clock.stamp(seconds(40_000_000)), seconds(100));
        assert_eq!(clock.stamp(seconds(101)), seconds(101));
    }

    #[test]
    fn a_long_gap_counts_once_later_frames_agree() {
        let mut clock = StreamClock::default();
        clock.stamp(seconds(100));
        assert_eq!(clock.stamp(seconds(50_000)), seconds(100));
        assert_eq!(clock.stamp(seconds(50_001)), seconds(100));
        assert_eq!(clock.stamp(seconds(50_002)), seconds(50_002));
    }

    #[test]
    fn wild_frames_that_disagree_never_add_up() {
        let mut clock = StreamClock::default();
        clock.stamp(seconds(100));
        for step in 1..100u64 {
            assert_eq!(clock.stamp(seconds(step * 10_000_000)), seconds(100));
        }
    }
}
