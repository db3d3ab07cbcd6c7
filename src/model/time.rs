//! Time as packets carry it.

use std::time::Duration;

use serde::{de::Error as _, ser::Error as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Nanoseconds since 1970-01-01T00:00:00Z, taken from a packet, never from a clock.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    bytemuck::Pod,
    bytemuck::Zeroable,
)]
#[repr(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest time that can be held: captures with 32-bit seconds end here too (2106).
    pub const MAX: Self = Self(u32::MAX as u64 * 1_000_000_000 + 999_999_999);

    /// From nanoseconds since the epoch; later than [`Self::MAX`] becomes `MAX`.
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 {
            Self::MAX
        } else {
            Self(nanos)
        }
    }

    /// From whole seconds and nanoseconds; the nanoseconds may exceed a second (damaged captures do that).
    pub const fn from_parts(seconds: u64, nanos: u64) -> Self {
        Self::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `self` plus `duration`, at most [`Self::MAX`].
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        let nanos = duration
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(duration.subsec_nanos() as u64);
        Self::from_nanos(self.0.saturating_add(nanos))
    }
}

/// Text as in RFC 3339, to the nanosecond.
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0));
        let text = time.map_err(S::Error::custom)?;
        let text = text.format(&Rfc3339).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let nanos = u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0);
        Ok(Self::from_nanos(nanos))
    }
}

/// A stretch of 2^30 ns (1.07 s): the unit in which timeouts are decided.
///
/// Deadlines are rounded up to the end of a tick, so that whether a flow has expired depends on packet
/// time alone and not on when a sweep passes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    bytemuck::Pod,
    bytemuck::Zeroable,
)]
#[repr(transparent)]
pub struct Tick(u32);

impl Tick {
    const SHIFT: u32 = 30;
    const NANOS: u64 = 1 << Self::SHIFT;

    /// The tick that `time` lies in.
    pub const fn of(time: Timestamp) -> Self {
        // `Timestamp::MAX` shifted by 30 is just below 2^32.
        Self((time.as_nanos() >> Self::SHIFT) as u32)
    }

    /// The first tick that begins at or after `time`.
    pub const fn at_or_after(time: Timestamp) -> Self {
        // No timestamp is so late that this overflows.
        Self((time.as_nanos().saturating_add(Self::NANOS - 1) >> Self::SHIFT) as u32)
    }

    /// When the tick begins.
    pub const fn begin(self) -> Timestamp {
        Timestamp::from_nanos((self.0 as u64) << Self::SHIFT)
    }

    /// The following tick.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Ticks from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved on by `ticks`.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.saturating_add(ticks))
    }

    /// The number, for the wheel's slot.
    pub const fn number(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_timestamp_fits_a_tick() {
        assert_eq!(
            Tick::of(Timestamp::MAX).begin().as_nanos() >> 30,
            Timestamp::MAX.as_nanos() >> 30
        );
    }

    #[test]
    fn a_deadline_is_rounded_up_never_down() {
        let time = Timestamp::from_nanos((5 << 30) + 1);
        assert_eq!(Tick::at_or_after(time).number(), 6);
        assert_eq!(
            Tick::at_or_after(Timestamp::from_nanos(5 << 30)).number(),
            5
        );
    }

    #[test]
    fn absurd_seconds_saturate() {
        assert_eq!(Timestamp::from_parts(u64::MAX, 0), Timestamp::MAX);
    }
}
