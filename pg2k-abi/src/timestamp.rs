//! Points in time.

use std::fmt;

/// A point in time: microseconds since 1970-01-01 00:00:00 UTC, the resolution of PostgreSQL's `timestamptz`.
///
/// It prints as RFC 3339 in UTC, with six digits of the second: `2026-01-31T09:08:07.000123Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days in the 400 years after which the Gregorian calendar repeats itself.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where an era begins, to 1970-01-01.
const DAYS_TO_UNIX_EPOCH: i64 = 719_468;

impl Timestamp {
    /// The point this many microseconds after 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// The point of a date and a time of day in UTC; `None` where the calendar has no such date or time.
    ///
    /// `second` may be 60, a leap second, which counts as the first of the next minute.
    #[must_use]
    pub fn from_utc(date: (i64, u32, u32), time: (u32, u32, u32), micros: u32) -> Option<Self> {
        let ((year, month, day), (hour, minute, second)) = (date, time);
        let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
        let days_in_month = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 || micros > 999_999 {
            return None;
        }
        // Years that begin in March have their leap day at the end, which makes the days before a month regular.
        let year_from_march = year - i64::from(month < 3);
        let month_from_march = i64::from((month + 9) % 12);
        let era = year_from_march.div_euclid(400);
        let year_of_era = year_from_march.rem_euclid(400);
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era.checked_mul(DAYS_PER_ERA)?.checked_add(day_of_era - DAYS_TO_UNIX_EPOCH)?;
        let seconds = i64::from(hour * 3_600 + minute * 60 + second);
        days.checked_mul(SECONDS_PER_DAY)?
            .checked_add(seconds)?
            .checked_mul(MICROS_PER_SECOND)?
            .checked_add(i64::from(micros))
            .map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let days = seconds.div_euclid(SECONDS_PER_DAY) + DAYS_TO_UNIX_EPOCH;
        let era = days.div_euclid(DAYS_PER_ERA);
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month < 3);
        let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        for (date, time, micros, unix, text) in [
            ((1970, 1, 1), (0, 0, 0), 0, 0, "1970-01-01T00:00:00.000000Z"),
            ((2000, 1, 1), (0, 0, 0), 0, 946_684_800_000_000, "2000-01-01T00:00:00.000000Z"),
            ((2024, 2, 29), (23, 59, 59), 999_999, 1_709_251_199_999_999, "2024-02-29T23:59:59.999999Z"),
            ((1969, 12, 31), (23, 59, 59), 1, -999_999, "1969-12-31T23:59:59.000001Z"),
            ((2100, 3, 1), (12, 0, 0), 0, 4_107_585_600_000_000, "2100-03-01T12:00:00.000000Z"),
        ] {
            let point = Timestamp::from_utc(date, time, micros).expect("a date of the calendar");
            assert_eq!(point.unix_micros(), unix, "{text}");
            assert_eq!(point.to_string(), text);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        for day in -146_097..146_097 {
            let point = Timestamp::from_unix_micros(day * SECONDS_PER_DAY * MICROS_PER_SECOND);
            let text = point.to_string();
            let number = |at: std::ops::Range<usize>| text[at].parse().expect("digits");
            let date = (i64::from(number(0..4)), number(5..7), number(8..10));
            assert_eq!(Timestamp::from_utc(date, (0, 0, 0), 0), Some(point), "{text}");
        }
    }

    #[test]
    fn no_such_date() {
        for (date, time) in [
            ((2023, 2, 29), (0, 0, 0)),
            ((2100, 2, 29), (0, 0, 0)),
            ((2024, 13, 1), (0, 0, 0)),
            ((2024, 0, 1), (0, 0, 0)),
            ((2024, 4, 31), (0, 0, 0)),
            ((2024, 1, 1), (24, 0, 0)),
            ((2024, 1, 1), (0, 60, 0)),
            ((i64::MAX, 1, 1), (0, 0, 0)),
        ] {
            assert_eq!(Timestamp::from_utc(date, time, 0), None, "{date:?} {time:?}");
        }
    }
}
