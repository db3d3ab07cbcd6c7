//! Days of the calendar, as rule files write them and as the time of a packet gives them.

/// A day of the calendar, as rule files write it; ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidityDate {
    /// Year of the common era.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl ValidityDate {
    /// The day in UTC that holds this moment, in seconds since 1970-01-01; the last day of year 65535 for later ones.
    ///
    /// Divisions only, so that a day can be had for every flow. Counting from 1 March puts the leap day at the
    /// end of the year; 146,097 days are the 400 years after which the Gregorian calendar repeats.
    pub const fn of_unix_seconds(seconds: u64) -> Self {
        const DAYS_TO_1970: u64 = 719_468;
        const LAST: u64 = 23_217_003;
        let days = if seconds / 86_400 > LAST {
            LAST
        } else {
            seconds / 86_400
        };
        let days = days + DAYS_TO_1970;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months from March have 31, 30, 31, 30, 31 days over and over: 153 days in five.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let (month, next_year) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        Self {
            year: (era * 400 + year_of_era + next_year) as u16,
            month: month as u8,
            day: day as u8,
        }
    }
}

impl std::fmt::Display for ValidityDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The days between which a fact is known to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// First day; `None`: not known.
    pub from: Option<ValidityDate>,
    /// Last day; `None`: not known, or still.
    pub until: Option<ValidityDate>,
}

impl Validity {
    /// Whether the fact is known, or not known otherwise, to hold on that day.
    pub fn holds_on(self, day: ValidityDate) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }

    /// Whether either end is known.
    pub const fn is_dated(self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_of_known_moments() {
        let text = |seconds| ValidityDate::of_unix_seconds(seconds).to_string();
        assert_eq!(text(0), "1970-01-01");
        assert_eq!(text(951_782_399), "2000-02-28");
        assert_eq!(text(951_782_400), "2000-02-29");
        assert_eq!(text(1_533_658_233), "2018-08-07");
        assert_eq!(text(4_107_542_400), "2100-03-01");
        assert_eq!(text(u64::MAX), "65535-12-31");
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_of_another_crate(seconds in 0u64..253_402_300_800) {
            let theirs = time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap())
                .unwrap()
                .date();
            let ours = ValidityDate::of_unix_seconds(seconds);
            prop_assert_eq!(i32::from(ours.year), theirs.year());
            prop_assert_eq!(ours.month, u8::from(theirs.month()));
            prop_assert_eq!(ours.day, theirs.day());
        }
    }
}
