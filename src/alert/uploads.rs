//! Bytes that a host sent a vendor, by hour of packet time → whether that is more than allowed, or far more than it used to be.

use std::collections::BTreeMap;

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes within an hour of packet time from which on it is told; 0: never.
    pub bytes_per_hour: u64,
    /// How many times the median of earlier hours is far more; 0: never.
    pub factor: u64,
    /// Less than this within an hour is never far more.
    pub floor_bytes: u64,
    /// Earlier hours with traffic that it takes to speak of a past.
    pub past_hours_min: usize,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            // An agent sends kilobytes to some megabytes an hour; a memory image or a folder of samples is more than this.
            bytes_per_hour: 100_000_000,
            factor: 10,
            // Below it a restart of the agent is enough.
            floor_bytes: 1_000_000,
            // A day of an agent that is always on.
            past_hours_min: 24,
        }
    }
}

/// What the bytes of an hour exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// What is allowed, in bytes.
    Threshold(u64),
    /// So many times the median of earlier hours, which is this.
    Past(u64),
}

/// What the bytes of `hour` exceed; `hours` holds earlier ones too, and may hold later ones, which do not count.
pub fn exceeded(
    hours: &BTreeMap<u64, u64>,
    hour: u64,
    bytes: u64,
    limits: &UploadLimits,
) -> Option<Exceeded> {
    if limits.bytes_per_hour > 0 && bytes >= limits.bytes_per_hour {
        return Some(Exceeded::Threshold(limits.bytes_per_hour));
    }
    if limits.factor == 0 || bytes < limits.floor_bytes {
        return None;
    }
    let mut past: Vec<u64> = hours.range(..hour).map(|(_, bytes)| *bytes).collect();
    if past.len() < limits.past_hours_min {
        return None;
    }
    past.sort_unstable();
    let median = past.get(past.len() / 2).copied()?;
    (bytes > median.saturating_mul(limits.factor)).then_some(Exceeded::Past(median))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UploadLimits = UploadLimits {
        bytes_per_hour: 1000,
        factor: 10,
        floor_bytes: 50,
        past_hours_min: 3,
    };

    fn past(bytes: &[u64]) -> BTreeMap<u64, u64> {
        (0..).zip(bytes.iter().copied()).collect()
    }

    #[test]
    fn each_limit_is_told_apart() {
        let quiet = past(&[5, 7, 6]);
        assert_eq!(
            exceeded(&quiet, 3, 60, &LIMITS),
            None,
            "ten times six is not above"
        );
        assert_eq!(exceeded(&quiet, 3, 61, &LIMITS), Some(Exceeded::Past(6)));
        assert_eq!(
            exceeded(&quiet, 3, 1000, &LIMITS),
            Some(Exceeded::Threshold(1000))
        );
        assert_eq!(
            exceeded(&quiet, 2, 61, &LIMITS),
            None,
            "two hours are no past"
        );
        assert_eq!(
            exceeded(&past(&[1, 1, 1]), 3, 49, &LIMITS),
            None,
            "below the floor"
        );
        let none = UploadLimits {
            bytes_per_hour: 0,
            factor: 0,
            ..LIMITS
        };
        assert_eq!(exceeded(&quiet, 3, u64::MAX, &none), None);
    }
}
