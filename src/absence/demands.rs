//! What must have been watched before it means anything that nothing was seen.

/// Below any of these a statement is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// Hours in which a zone was watched.
    pub hours_min: u64,
    /// Expected contact intervals for which hosts were watched on average.
    pub intervals_min: u64,
    /// Intervals that must have been measured before they give a number.
    pub measured_min: u64,
    /// The chance of a miss, at its upper end, in percent.
    pub miss_percent_max: u64,
    /// What may be missing for one cause, in percent.
    pub cause_percent_max: u64,
    /// What must be visible of outbound flows, at the lower end, in percent.
    pub visible_percent_min: u64,
    /// Times of contacts that are kept while intervals are measured.
    pub contacts_max: usize,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            // Updates come daily at the latest, and whatever depends on the time of day has come round once.
            hours_min: 24,
            // Of a program that calls like clockwork one interval shows every call; three leave room for calls that were missed.
            intervals_min: 3,
            // With five the mean is known within a factor of three (Garwood's interval), which still gives a number of use.
            measured_min: 5,
            // One in twenty, as is usual for such statements.
            miss_percent_max: 5,
            // The formula lets each contact be hidden by chance. A cause can hide all contacts of a host, always: where it reaches more than one
            // host in ten, or a tenth of the time, the chance of a miss is not below that, whatever the formula says.
            cause_percent_max: 10,
            // Where more is hidden than seen, one cannot say that what is hidden is like what is seen.
            visible_percent_min: 50,
            // 16 bytes each: 16 MB.
            contacts_max: 1 << 20,
        }
    }
}
