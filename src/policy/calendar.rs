//! A day and a number of days in, a deadline out; federal holidays of the United States as data.
//!
//! The rules of the holidays stand in `rules/holidays.toml` (5 U.S.C. 6103(a)), the days on which they are kept follow here from
//! 5 U.S.C. 6103(b) and Executive Order 11582, section 3: one that falls on a Saturday on the Friday before, one on a Sunday on
//! the Monday after.
//!
//! **Invariant**: no clock: every day is given.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;
use time::{Date, Duration, Month, Weekday};

use super::words::DayKind;
use crate::attribute::ValidityDate;

/// The table that is compiled into the program.
const BUILTIN: &str = include_str!("../../rules/holidays.toml");

/// The latest year that deadlines are computed for: `time` holds no later one.
const YEAR_MAX: u16 = 9998;

/// Holidays by rule.
#[derive(Clone, Debug)]
pub struct Holidays {
    rules: Vec<Holiday>,
}

/// One holiday.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Holiday {
    name: String,
    month: u8,
    /// A fixed day of the month.
    day: Option<u8>,
    /// Else a weekday, from 1 for Monday …
    weekday: Option<u8>,
    /// … and which of the month: 1 to 4, or -1 for the last.
    which: Option<i8>,
    /// First year in which it is kept; absent: longer than any capture.
    since: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "source")]
    _source: String,
    holiday: Vec<Holiday>,
}

/// A table of holidays that cannot be used, or a day that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The table.
    #[error("the table of holidays: {0}")]
    Table(String),
    /// A text or a number that is no day.
    #[error("{0:?} is no day of the calendar: write it as 2026-11-23")]
    NoDay(String),
}

impl Holidays {
    /// The table of the program; it is read once.
    #[allow(
        clippy::expect_used,
        reason = "the table is part of the program, and a test reads it"
    )]
    pub fn us_federal() -> &'static Self {
        static TABLE: LazyLock<Holidays> =
            LazyLock::new(|| Holidays::parse(BUILTIN).expect("the table of the program is right"));
        &TABLE
    }

    /// A table of its text.
    ///
    /// # Errors
    /// Where it is no TOML of that form, or a rule names no day.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let file: File =
            toml::from_str(text).map_err(|error| CalendarError::Table(error.to_string()))?;
        for rule in &file.holiday {
            // A leap year has every day that a rule can name.
            if rule.in_year(2024.max(rule.since.unwrap_or(0))).is_none() {
                let problem = format!("{} names no day", rule.name);
                return Err(CalendarError::Table(problem));
            }
        }
        Ok(Self {
            rules: file.holiday,
        })
    }

    /// The days of a year on which offices are closed; one in lieu of a holiday of the next year is among them.
    pub fn kept_in(&self, year: u16) -> BTreeSet<ValidityDate> {
        let years = [year, year.saturating_add(1)].into_iter();
        years
            .flat_map(|year| self.rules.iter().filter_map(move |rule| rule.in_year(year)))
            .map(kept)
            .filter(|day| day.year() == i32::from(year))
            .filter_map(validity_date)
            .collect()
    }

    /// Whether offices work on that day.
    pub fn is_business_day(&self, day: ValidityDate) -> bool {
        let weekend = date(day).is_none_or(is_weekend);
        !weekend && !self.kept_in(day.year).contains(&day)
    }

    /// The day so many days after `start`, which itself does not count.
    ///
    /// # Errors
    /// Where `start` is no day, or the deadline lies beyond the calendar.
    pub fn deadline(
        &self,
        start: ValidityDate,
        days: u16,
        kind: DayKind,
    ) -> Result<ValidityDate, CalendarError> {
        let no_day = || CalendarError::NoDay(start.to_string());
        let mut day = date(start).ok_or_else(no_day)?;
        let mut left = days;
        while left > 0 {
            day = day.checked_add(Duration::DAY).ok_or_else(no_day)?;
            let counts = match kind {
                DayKind::Calendar => true,
                DayKind::BusinessUsFederal => {
                    let today = validity_date(day).ok_or_else(no_day)?;
                    self.is_business_day(today)
                }
            };
            left -= u16::from(counts);
        }
        validity_date(day).ok_or_else(no_day)
    }
}

impl Holiday {
    /// The day itself, whichever day of the week that is.
    fn in_year(&self, year: u16) -> Option<Date> {
        if self.since.is_some_and(|since| year < since) || year > YEAR_MAX {
            return None;
        }
        let month = Month::try_from(self.month).ok()?;
        let at = |day: u8| Date::from_calendar_date(i32::from(year), month, day).ok();
        match (self.day, self.weekday, self.which) {
            (Some(day), None, None) => at(day),
            (None, Some(weekday), Some(-1)) => (1..=31u8)
                .rev()
                .filter_map(at)
                .find(|day| day.weekday().number_from_monday() == weekday),
            (None, Some(weekday), Some(which @ 1..=4)) => (1..=31u8)
                .filter_map(at)
                .filter(|day| day.weekday().number_from_monday() == weekday)
                .nth(usize::from(which.unsigned_abs()) - 1),
            _ => None,
        }
    }
}

/// The day on which a holiday is kept.
fn kept(day: Date) -> Date {
    let by = match day.weekday() {
        Weekday::Saturday => -Duration::DAY,
        Weekday::Sunday => Duration::DAY,
        _ => Duration::ZERO,
    };
    day.checked_add(by).unwrap_or(day)
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn date(day: ValidityDate) -> Option<Date> {
    let month = Month::try_from(day.month).ok()?;
    let within = day.year <= YEAR_MAX;
    Date::from_calendar_date(i32::from(day.year), month, day.day)
        .ok()
        .filter(|_| within)
}

fn validity_date(day: Date) -> Option<ValidityDate> {
    Some(ValidityDate {
        year: u16::try_from(day.year()).ok()?,
        month: u8::from(day.month()),
        day: day.day(),
    })
}

/// A day as people write it, `2026-11-23`, or the day of a time in UTC, `2026-11-23T08:00:00Z`.
///
/// # Errors
/// Where there is no such day.
pub fn parse_day(text: &str) -> Result<ValidityDate, CalendarError> {
    let wrong = || CalendarError::NoDay(text.to_owned());
    let day = text.split_once('T').map_or(text, |(day, _)| day);
    let mut parts = day.splitn(3, '-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| plain)
    };
    let (Some(year), Some(month), Some(of_month)) = (number(4), number(2), number(2)) else {
        return Err(wrong());
    };
    let found = ValidityDate {
        year,
        month: month as u8,
        day: of_month as u8,
    };
    date(found).map(|_| found).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> ValidityDate {
        parse_day(text).unwrap()
    }

    /// The lists that the Office of Personnel Management publishes: each year's days as kept.
    const PUBLISHED: &[(u16, &[&str])] = &[
        (
            2019,
            &[
                "01-01", "01-21", "02-18", "05-27", "07-04", "09-02", "10-14", "11-11", "11-28",
                "12-25",
            ],
        ),
        (
            2020,
            &[
                "01-01", "01-20", "02-17", "05-25", "07-03", "09-07", "10-12", "11-11", "11-26",
                "12-25",
            ],
        ),
        // The Juneteenth of 2021 became law two days before; New Year's Day 2022 was kept on the last day of 2021.
        (
            2021,
            &[
                "01-01", "01-18", "02-15", "05-31", "06-18", "07-05", "09-06", "10-11", "11-11",
                "11-25", "12-24", "12-31",
            ],
        ),
        (
            2022,
            &[
                "01-17", "02-21", "05-30", "06-20", "07-04", "09-05", "10-10", "11-11", "11-24",
                "12-26",
            ],
        ),
        (
            2023,
            &[
                "01-02", "01-16", "02-20", "05-29", "06-19", "07-04", "09-04", "10-09", "11-10",
                "11-23", "12-25",
            ],
        ),
        (
            2024,
            &[
                "01-01", "01-15", "02-19", "05-27", "06-19", "07-04", "09-02", "10-14", "11-11",
                "11-28", "12-25",
            ],
        ),
        (
            2025,
            &[
                "01-01", "01-20", "02-17", "05-26", "06-19", "07-04", "09-01", "10-13", "11-11",
                "11-27", "12-25",
            ],
        ),
        (
            2026,
            &[
                "01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "09-07", "10-12", "11-11",
                "11-26", "12-25",
            ],
        ),
    ];

    #[test]
    fn holidays_are_those_of_the_published_lists() {
        for (year, expected) in PUBLISHED {
            let expected: BTreeSet<_> = expected
                .iter()
                .map(|month_day| day(&format!("{year}-{month_day}")))
                .collect();
            assert_eq!(Holidays::us_federal().kept_in(*year), expected, "{year}");
        }
    }

    #[test]
    fn business_days_leave_out_weekends_and_holidays() {
        let holidays = Holidays::us_federal();
        for (start, days, expected) in [
            // Monday.
            ("2024-10-07", 3, "2024-10-10"),
            // Thursday before Columbus Day.
            ("2024-10-10", 3, "2024-10-16"),
            // A Saturday begins to count on Monday.
            ("2024-10-05", 1, "2024-10-07"),
            // Wednesday before Thanksgiving.
            ("2025-11-26", 1, "2025-11-28"),
            // Independence Day on a Saturday is kept on Friday 3 July.
            ("2026-07-01", 3, "2026-07-07"),
            // New Year's Day 2022, a Saturday, is kept on Friday, in the year before.
            ("2021-12-30", 1, "2022-01-03"),
            ("2024-10-07", 0, "2024-10-07"),
            ("2024-12-20", 10, "2025-01-07"),
        ] {
            let kind = DayKind::BusinessUsFederal;
            let found = holidays.deadline(day(start), days, kind).unwrap();
            assert_eq!(found, day(expected), "{days} from {start}");
        }
        let found = holidays.deadline(day("2024-12-20"), 60, DayKind::Calendar);
        assert_eq!(found.unwrap(), day("2025-02-18"));
        // There was no Juneteenth before it was made one.
        assert!(holidays.is_business_day(day("2020-06-19")));
        assert!(!holidays.is_business_day(day("2021-06-18")));
    }

    #[test]
    fn a_deadline_beyond_the_calendar_is_an_error() {
        let late = ValidityDate {
            year: 65_535,
            month: 12,
            day: 31,
        };
        let holidays = Holidays::us_federal();
        assert!(holidays.deadline(late, 1, DayKind::Calendar).is_err());
        assert!(holidays.kept_in(u16::MAX).is_empty());
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
        assert_eq!(day("2017-09-13T08:00:00.123456Z").to_string(), "2017-09-13");
        for wrong in [
            "2023-02-29",
            "2024-1-01",
            "24-01-01",
            "2024-13-01",
            "2024-01-1x",
            "",
            "2024-01",
        ] {
            assert!(parse_day(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_with_a_rule_that_names_no_day_is_refused() {
        for rule in [
            "month = 2\nday = 30",
            "month = 13\nday = 1",
            "month = 1\nweekday = 8\nwhich = 1",
            "month = 1\nweekday = 1\nwhich = 5",
            "month = 1",
            "month = 1\nday = 1\nwhich = 1",
            "month = 1\nday = 1\nyear = 3",
        ] {
            let text = format!("source = \"x\"\n[[holiday]]\nname = \"A\"\n{rule}\n");
            assert!(Holidays::parse(&text).is_err(), "{rule}");
        }
    }
}
