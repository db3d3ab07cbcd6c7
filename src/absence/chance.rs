//! How often something makes itself known, for how long it was watched and what share of it can be seen → the chance that it
//! stayed unseen.
//!
//! Pure functions; `docs/ABSENCE.md` has the formulas and what they assume. An installation contacts its vendor at intervals that are drawn
//! independently from one distribution (a renewal process), and watching begins at any moment of one (uniform phase). Each contact is
//! seen with the same chance, independently of the others. So no contact is seen if all that fall into the time watched are unseen.

/// 97.5 % of the normal distribution lie below: the ends of intervals that hold with 95 %.
const Z: f64 = 1.959_964;
/// Steps into which the mean interval is divided: finer changes no digit that is shown.
const STEPS_PER_MEAN: f64 = 16.0;
/// Steps that are computed, 64 mean intervals; beyond, the chance falls at the rate that it has reached.
const STEPS: usize = 1024;

/// A number, and between which values it lies with 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The likeliest.
    pub best: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Estimate {
    /// A number without doubt.
    pub const fn exact(value: f64) -> Self {
        Self {
            best: value,
            low: value,
            high: value,
        }
    }

    /// All three times a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            best: self.best * factor,
            low: self.low * factor,
            high: self.high * factor,
        }
    }
}

/// A share of a whole that is a sample: Wilson's score interval (Wilson 1927), which stays within 0 and 1 and is right for small numbers.
///
/// Nothing of nothing says nothing: anything between 0 and 1.
pub fn share(part: u64, whole: u64) -> Estimate {
    if whole == 0 {
        return Estimate {
            best: 0.0,
            low: 0.0,
            high: 1.0,
        };
    }
    let (n, p) = (whole as f64, part.min(whole) as f64 / whole as f64);
    let z2 = Z * Z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Estimate {
        best: p,
        low: (centre - half).clamp(0.0, p),
        high: (centre + half).clamp(p, 1.0),
    }
}

/// Seconds, in ascending order, and how likely such an interval is; together 1.
type Distribution = Vec<(f64, f64)>;

/// Times between contacts of installations that were seen, as a distribution: Kaplan and Meier's (1958), which takes intervals that still ran
/// when watching ended for what they are, at least so long.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// As measured.
    likeliest: Distribution,
    /// With as many long intervals as the measured ones leave possible with 97.5 %: Greenwood's (1926) upper ends.
    longest: Distribution,
    /// Intervals that were measured whole.
    count: usize,
}

/// Quarters of an exponential distribution by their means, in units of its own.
const QUARTERS: [f64; 4] = [0.137, 0.477, 1.0, 2.386];
/// The longest intervals by which the length of those is judged that are longer than all: a tenth, and at least so many.
const LONGEST: usize = 5;

/// The share of time in intervals that are longer than any that was seen whole, beyond which nothing can be said: the sensor was not there for
/// long enough to see how long they are.
const UNKNOWN_MOST: f64 = 0.15;

impl Measured {
    /// From intervals in seconds that were seen whole, and those that still ran when watching ended. `None` if there are fewer than `least`
    /// whole ones, or too much of the time lies in intervals of which nobody saw the end: then nothing can be said.
    pub fn new(whole: Vec<f64>, running: Vec<f64>, least: usize) -> Option<Self> {
        let is_time = |seconds: &f64| seconds.is_finite() && *seconds > 0.0;
        let mut all: Vec<(f64, bool)> = whole
            .into_iter()
            .filter(is_time)
            .map(|seconds| (seconds, true))
            .collect();
        let count = all.len();
        if count < least.max(1) {
            return None;
        }
        let running = running.into_iter().filter(is_time);
        all.extend(running.map(|seconds| (seconds, false)));
        // Of equal lengths the whole ones first: what still ran is longer.
        all.sort_by(|(a, a_whole), (b, b_whole)| a.total_cmp(b).then(b_whole.cmp(a_whole)));
        let (mut likeliest, mut longest) = (Vec::new(), Vec::new());
        let (mut left, mut left_most, mut variance) = (1.0, 1.0, 0.0);
        for (at, (seconds, is_whole)) in all.iter().enumerate() {
            if !is_whole {
                continue;
            }
            let at_risk = (all.len() - at) as f64;
            let weight: f64 = left / at_risk;
            left -= weight;
            likeliest.push((*seconds, weight));
            if at_risk < 2.0 {
                // None is left: that none is longer cannot be concluded, and what was left before stays left.
                continue;
            }
            variance += 1.0 / (at_risk * (at_risk - 1.0));
            let most = upper_end(left, variance).min(left_most);
            longest.push((*seconds, left_most - most));
            left_most = most;
        }
        // Of those that are longer than any whole one is known that they are longer than the longest that ran; beyond it they go on as long as
        // the longest whole ones lead one to expect.
        let longest_seen = all.last().map_or(0.0, |(seconds, _)| *seconds);
        let (beyond, ended) = tail(&all, count);
        go_on(&mut likeliest, left, longest_seen, beyond);
        if left * (longest_seen + beyond) > UNKNOWN_MOST * mean_of(&likeliest) {
            return None;
        }
        let ended = 2.0 * ended as f64;
        let most_beyond = beyond * ended / chi_square(-Z, ended);
        go_on(&mut longest, left_most, longest_seen, most_beyond);
        Some(Self {
            likeliest,
            longest,
            count,
        })
    }

    /// How many intervals were measured whole.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The mean interval.
    pub fn mean(&self) -> Estimate {
        let mean = mean_of(&self.likeliest);
        // What varies more than chance (Poisson) counts for fewer intervals; what varies less does not count for more.
        let effective = self.count as f64 / self.dispersion().max(1.0);
        let high = mean * 2.0 * effective / chi_square(-Z, 2.0 * effective);
        Estimate {
            best: mean,
            low: mean * 2.0 * effective / chi_square(Z, 2.0 * effective + 2.0),
            high: high.max(mean_of(&self.longest)),
        }
    }

    /// Variance of the intervals by the square of their mean: 0 like clockwork, 1 at random, more in bursts.
    pub fn dispersion(&self) -> f64 {
        let mean = mean_of(&self.likeliest);
        let squares = self
            .likeliest
            .iter()
            .map(|(x, weight)| weight * (x - mean).powi(2));
        squares.sum::<f64>() / (mean * mean)
    }
}

fn mean_of(distribution: &Distribution) -> f64 {
    distribution.iter().map(|(x, weight)| weight * x).sum()
}

/// The upper end of a survival of which Greenwood's sum is given, by its double logarithm, which keeps it between 0 and 1.
fn upper_end(left: f64, variance: f64) -> f64 {
    let log = left.max(1e-12).ln();
    (log * (-Z * variance.sqrt() / -log).exp()).exp()
}

/// What is left of a distribution goes on beyond the last length that was seen.
fn go_on(distribution: &mut Distribution, left: f64, last: f64, beyond: f64) {
    if left > 1e-9 {
        let each = left / QUARTERS.len() as f64;
        distribution.extend(QUARTERS.map(|quarter| (last + quarter * beyond, each)));
    }
}

/// By how much, on average, the longest intervals go on: the time beyond the shortest of them, by how many of them ended; and that number.
fn tail(all: &[(f64, bool)], count: usize) -> (f64, usize) {
    let most = (count / 10).max(LONGEST).min(count);
    let whole: Vec<f64> = (all.iter())
        .filter(|(_, is_whole)| *is_whole)
        .map(|(seconds, _)| *seconds)
        .collect();
    let from = if most == count {
        0.0
    } else {
        whole[count - most - 1]
    };
    let beyond: f64 = all
        .iter()
        .map(|(seconds, _)| (seconds - from).max(0.0))
        .sum();
    (beyond / most as f64, most)
}

/// How long it takes from one contact to the next.
#[derive(Clone, Debug, PartialEq)]
pub enum Intervals {
    /// Measured.
    Measured(Measured),
    /// A source gives the usual time in seconds, and does not say how it varies: between like clockwork and at random.
    Stated(f64),
}

impl Intervals {
    /// The mean in seconds.
    pub fn mean(&self) -> Estimate {
        match self {
            Self::Measured(measured) => measured.mean(),
            Self::Stated(seconds) => Estimate::exact(*seconds),
        }
    }
}

/// The chance that none of the contacts of one installation was seen, for an installation that is with equal chance on any of some hosts.
///
/// `watched` has pairs of seconds for which hosts were watched, and how many hosts; `visible` is the chance that a contact is seen. `None`
/// where there are no hosts: what was not watched has no chance of being seen, and no number for it.
pub fn unseen(
    intervals: &Intervals,
    watched: &[(f64, u64)],
    visible: Estimate,
) -> Option<Estimate> {
    let hosts: u64 = watched.iter().map(|(_, hosts)| hosts).sum();
    if hosts == 0 {
        return None;
    }
    let over_hosts = |chance: &dyn Fn(f64) -> f64| {
        let sum: f64 = watched
            .iter()
            .map(|(seconds, hosts)| chance(*seconds) * *hosts as f64)
            .sum();
        (sum / hosts as f64).clamp(0.0, 1.0)
    };
    let [best, low, high] = match intervals {
        Intervals::Stated(mean) => [
            over_hosts(&|seconds| at_random(seconds, *mean, visible.best)),
            over_hosts(&|seconds| like_clockwork(seconds, *mean, visible.high)),
            over_hosts(&|seconds| at_random(seconds, *mean, visible.low)),
        ],
        Intervals::Measured(measured) => {
            let mean = measured.mean();
            [
                (&measured.likeliest, mean.best, visible.best),
                (&measured.likeliest, mean.low, visible.high),
                (&measured.longest, mean.high, visible.low),
            ]
            .map(|(distribution, mean, visible)| {
                let curve = Curve::new(distribution, mean, visible);
                over_hosts(&|seconds| curve.at(seconds))
            })
        }
    };
    Some(Estimate {
        best: best.clamp(low.min(high), high.max(low)),
        low: low.min(high),
        high: high.max(low),
    })
}

/// Contacts at random (Poisson): of any distribution that is no burstier the most cautious one.
pub fn at_random(seconds: f64, mean: f64, visible: f64) -> f64 {
    (-seconds * visible / mean).exp()
}

/// Contacts like clockwork, watching begins at any moment.
pub fn like_clockwork(seconds: f64, mean: f64, visible: f64) -> f64 {
    let contacts = seconds / mean;
    let (whole, rest) = (contacts.floor(), contacts.fract());
    let unseen = 1.0 - visible;
    unseen.powf(whole) * (1.0 - rest + rest * unseen)
}

/// The chance of having seen nothing, by time watched, for intervals that were measured.
struct Curve {
    step: f64,
    /// By number of steps.
    unseen: Vec<f64>,
}

impl Curve {
    /// Intervals of the given shape, stretched to the given mean.
    fn new(distribution: &Distribution, mean: f64, visible: f64) -> Self {
        let step = mean / STEPS_PER_MEAN;
        let stretch = mean / mean_of(distribution);
        let (weights, steps) = on_grid(distribution, stretch / step);
        Self {
            step,
            unseen: nothing_seen(&weights, steps, visible),
        }
    }

    fn at(&self, seconds: f64) -> f64 {
        let last = self.unseen.len().saturating_sub(1);
        let steps = (seconds / self.step).max(0.0);
        let value = |at: usize| self.unseen.get(at).copied().unwrap_or(0.0);
        if steps < last as f64 {
            let (before, rest) = (whole_steps(steps), steps.fract());
            return value(before) + (value(before + 1) - value(before)) * rest;
        }
        let (end, middle) = (value(last), value(last / 2));
        if middle <= 0.0 {
            return 0.0;
        }
        let half = (last - last / 2) as f64;
        end * (end / middle).powf((steps - last as f64) / half)
    }
}

/// Steps without their fraction.
#[allow(
    clippy::cast_sign_loss,
    reason = "times are not negative, and a cast of what is too large gives the largest number"
)]
const fn whole_steps(steps: f64) -> usize {
    steps as usize
}

/// How likely an interval of so many steps is, by number of steps, and the mean. What is longer than the grid has no place and is what is
/// left of 1. An interval between two steps counts partly for each, so that the mean stays what it is.
fn on_grid(intervals: &Distribution, steps_per_second: f64) -> (Vec<f64>, f64) {
    let mut weights = vec![0.0; STEPS + 1];
    let mut mean = 0.0;
    for (interval, each) in intervals {
        let steps = (interval * steps_per_second).max(1.0);
        mean += each * steps;
        let (before, rest) = (steps.floor(), steps.fract());
        for (at, weight) in [(before, 1.0 - rest), (before + 1.0, rest)] {
            if let Some(cell) = weights.get_mut(whole_steps(at)) {
                *cell += each * weight;
            }
        }
    }
    (weights, mean)
}

/// The renewal equation with thinning: by number of steps watched, the chance that no contact in them was seen.
fn nothing_seen(weights: &[f64], mean: f64, visible: f64) -> Vec<f64> {
    let unseen = 1.0 - visible;
    // That an interval is longer than so many steps.
    let mut longer = Vec::with_capacity(weights.len());
    let mut left: f64 = 1.0;
    for weight in weights {
        left -= weight;
        longer.push(left.max(0.0));
    }
    // After a contact, in so many steps.
    let mut after = vec![1.0; weights.len()];
    for steps in 1..weights.len() {
        let renewed: f64 = (1..=steps)
            .map(|first| weights[first] * after[steps - first])
            .sum();
        after[steps] = longer[steps] + unseen * renewed;
    }
    // From any moment: that the first contact comes in a step has the chance of an interval that reaches it, by the mean.
    let mut wait_longer = 1.0;
    let mut from_any = vec![1.0; weights.len()];
    for steps in 1..weights.len() {
        wait_longer -= longer[steps - 1] / mean;
        let renewed: f64 = (1..=steps)
            .map(|first| longer[first - 1] / mean * after[steps - first])
            .sum();
        from_any[steps] = (f64::max(wait_longer, 0.0) + unseen * renewed).min(from_any[steps - 1]);
    }
    from_any
}

/// The value below which the chi-square distribution of `freedom` degrees has what lies below `z` in the normal one (Wilson and Hilferty
/// 1931): right to one in a hundred from 10 degrees on, and never below zero.
fn chi_square(z: f64, freedom: f64) -> f64 {
    let part = 2.0 / (9.0 * freedom);
    let cube = 1.0 - part + z * part.sqrt();
    freedom * cube.max(0.01).powi(3)
}

#[cfg(test)]
#[path = "chance_tests.rs"]
mod tests;
