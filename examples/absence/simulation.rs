//! Installations that contact their vendor, a sensor that misses packets: counted, not computed.
//!
//! Knows nothing of the formula: it draws when contacts happen, drops some, and looks which installations showed nothing.

/// SplitMix64 (Steele and others, 2014): small, and the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0, less than 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn hits(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// How an installation spaces its contacts; all with the same mean.
#[derive(Clone, Copy, Debug)]
pub enum Habit {
    /// Every hour on the minute.
    Clockwork,
    /// A tenth early or late, as most updaters do.
    Jittered,
    /// At random.
    Poisson,
    /// Nine short waits, then a long one.
    Bursts,
}

impl Habit {
    pub const ALL: [Self; 4] = [Self::Clockwork, Self::Jittered, Self::Poisson, Self::Bursts];

    pub fn interval(self, mean: f64, random: &mut Random) -> f64 {
        match self {
            Self::Clockwork => mean,
            Self::Jittered => mean * (0.9 + 0.2 * random.unit()),
            Self::Poisson => random.exponential(mean),
            Self::Bursts => {
                let scale = if random.hits(0.9) { 0.2 } else { 8.2 };
                random.exponential(mean * scale)
            }
        }
    }
}

/// A network that is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Seconds.
    pub seconds: f64,
    /// Share of flows that show a name.
    pub named: f64,
    /// Share of packets that never reach the sensor.
    pub lost: f64,
}

/// Of so many installations, how many showed nothing.
pub fn unseen(
    installations: u32,
    habit: Habit,
    mean: f64,
    watch: Watch,
    random: &mut Random,
) -> u32 {
    let mut unseen = 0;
    for _ in 0..installations {
        // Long before watching begins, so that it begins at any moment of an interval.
        let mut now = -mean * (40.0 + random.unit());
        let mut seen = false;
        loop {
            now += habit.interval(mean, random);
            if now > watch.seconds {
                break;
            }
            // The hello has to come by, and to show a name.
            seen |= now > 0.0 && !random.hits(watch.lost) && random.hits(watch.named);
        }
        unseen += u32::from(!seen);
    }
    unseen
}

/// What somebody measures who watches some installations for some time: intervals, and those that still ran at the end.
pub fn measure(
    installations: u32,
    habit: Habit,
    mean: f64,
    seconds: f64,
    random: &mut Random,
) -> (Vec<f64>, Vec<f64>) {
    let (mut whole, mut running) = (Vec::new(), Vec::new());
    for _ in 0..installations {
        let mut now = -mean * (40.0 + random.unit());
        let mut last = None;
        loop {
            now += habit.interval(mean, random);
            if now > seconds {
                break;
            }
            if now > 0.0
                && let Some(before) = last.replace(now)
            {
                whole.push(now - before);
            }
        }
        running.extend(last.map(|last| seconds - last));
    }
    (whole, running)
}

/// Of so many flows, how many showed a name.
pub fn named(flows: u64, share: f64, random: &mut Random) -> u64 {
    (0..flows).filter(|_| random.hits(share)).count() as u64
}
