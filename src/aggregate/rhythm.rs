//! Times at which something happened → on how many occasions, and how long lies between them.

use std::time::Duration;

use crate::model::Timestamp;

/// Lengths that differ by less than a factor of the square root of two share a class.
const CLASSES_PER_OCTAVE: u32 = 2;
/// Half a year and more is one class: no product waits longer.
const CLASS_MAX: u8 = 48;
/// Fewer intervals show no regularity.
const REGULAR_FROM: u32 = 4;

/// Occasions, and the intervals between their beginnings by classes of length. Memory does not grow with the number of occasions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rhythm {
    latest: Option<Timestamp>,
    occasions: u32,
    /// By class, in order; what is regular has one to three.
    intervals: Vec<Class>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    number: u8,
    count: u32,
    sum: Duration,
}

/// What lies between occasions.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The median, in seconds: the mean of the class of lengths that it lies in.
    pub median_seconds: f64,
    /// One interval in ten is shorter, in seconds.
    pub low_seconds: f64,
    /// One in ten is longer, in seconds.
    pub high_seconds: f64,
    /// Intervals measured.
    pub count: u32,
    /// At least four, and three quarters of them within a factor of 1.5 of the median.
    pub regular: bool,
}

impl Rhythm {
    /// It happened. What happens within `occasion` of the beginning of one is that occasion.
    pub fn happened(&mut self, at: Timestamp, occasion: Duration) {
        let Some(latest) = self.latest else {
            self.latest = Some(at);
            self.occasions = 1;
            return;
        };
        // Packets that come late belong to an occasion that has been.
        if at < latest.after(occasion) {
            return;
        }
        let interval = at.since(latest);
        self.latest = Some(at);
        self.occasions = self.occasions.saturating_add(1);
        let class = class_of(interval);
        let position = self.intervals.partition_point(|known| known.number < class);
        match self.intervals.get_mut(position) {
            Some(known) if known.number == class => {
                known.count = known.count.saturating_add(1);
                known.sum = known.sum.saturating_add(interval);
            }
            _ => self.intervals.insert(
                position,
                Class {
                    number: class,
                    count: 1,
                    sum: interval,
                },
            ),
        }
    }

    /// On how many occasions it happened.
    pub const fn occasions(&self) -> u32 {
        self.occasions
    }

    /// The length of the intervals; `None` if it happened once.
    pub fn interval(&self) -> Option<Interval> {
        let count: u32 = self.intervals.iter().map(|class| class.count).sum();
        if count == 0 {
            return None;
        }
        let median_seconds = self.quantile(count, 1, 2)?;
        let near = self
            .intervals
            .iter()
            .filter(|class| {
                let ratio = class.mean_seconds() / median_seconds;
                (1.0 / 1.5..=1.5).contains(&ratio)
            })
            .map(|class| class.count)
            .sum::<u32>();
        Some(Interval {
            median_seconds,
            low_seconds: self.quantile(count, 1, 10)?,
            high_seconds: self.quantile(count, 9, 10)?,
            count,
            regular: count >= REGULAR_FROM && u64::from(near) * 4 >= u64::from(count) * 3,
        })
    }

    /// The mean of the class in which the share `numerator / denominator` of all intervals is reached.
    fn quantile(&self, count: u32, numerator: u64, denominator: u64) -> Option<f64> {
        let wanted = (u64::from(count) * numerator).div_ceil(denominator).max(1);
        let mut seen = 0;
        self.intervals
            .iter()
            .find(|class| {
                seen += u64::from(class.count);
                seen >= wanted
            })
            .map(Class::mean_seconds)
    }
}

impl Class {
    fn mean_seconds(&self) -> f64 {
        self.sum.as_secs_f64() / f64::from(self.count)
    }
}

/// The class of a length: twice the logarithm of its seconds to base two.
fn class_of(interval: Duration) -> u8 {
    let seconds = interval.as_secs().max(1);
    let octave = seconds.ilog2();
    // Above the square root of two times the power: its square is more than twice the square of the power.
    let upper = u128::from(seconds).pow(2) >= 2u128 << (2 * octave);
    u8::try_from(octave * CLASSES_PER_OCTAVE + u32::from(upper))
        .unwrap_or(CLASS_MAX)
        .min(CLASS_MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]
mod tests {
    use super::*;

    const OCCASION: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn rhythm(times: impl IntoIterator<Item = u64>) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for seconds in times {
            rhythm.happened(at(seconds), OCCASION);
        }
        rhythm
    }

    #[test]
    fn what_happens_within_an_occasion_is_one() {
        assert_eq!(rhythm([]).occasions(), 0);
        assert_eq!(rhythm([1000]).occasions(), 1);
        assert_eq!(rhythm([1000, 1001, 1059]).occasions(), 1);
        assert_eq!(rhythm([1000, 1060]).occasions(), 2);
        // Steady chatter is more than one occasion, counted from the beginning of each.
        assert_eq!(rhythm((0..=180).step_by(20)).occasions(), 4);
        // What comes late was there before.
        assert_eq!(rhythm([1000, 10, 999]).occasions(), 1);
        assert_eq!(rhythm([1000]).interval(), None);
    }

    #[test]
    fn hourly_with_some_jitter_is_regular_and_its_length_is_found() {
        let hourly = rhythm((0..48).map(|hour| hour * 3600 + (hour % 5) * 30));
        let interval = hourly.interval().unwrap();
        assert!(
            (3500.0..3700.0).contains(&interval.median_seconds),
            "{interval:?}"
        );
        assert_eq!((interval.count, interval.regular), (47, true));
        assert!(interval.low_seconds <= interval.median_seconds);
        assert!(interval.high_seconds >= interval.median_seconds);
    }

    #[test]
    fn what_comes_at_any_time_is_not_regular() {
        let mut seconds = 0;
        let times = (1..40u64).map(|step| {
            seconds += 61 * (1 + (step * step) % 97) * (1 + step % 7);
            seconds
        });
        let interval = rhythm(times).interval().unwrap();
        assert!(!interval.regular, "{interval:?}");
        let few = rhythm([0, 3600, 7200, 10_800]).interval().unwrap();
        assert_eq!((few.count, few.regular), (3, false), "three are too few");
    }

    #[test]
    fn classes_grow_with_length_and_end() {
        let mut before = 0;
        for seconds in 1..100_000 {
            let class = class_of(Duration::from_secs(seconds));
            assert!(class >= before && class <= before + 2, "{seconds}");
            before = class;
        }
        assert_eq!(class_of(Duration::from_secs(u64::MAX)), CLASS_MAX);
        assert_eq!(class_of(Duration::ZERO), 0);
    }
}
