// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dates and times, as people read them.

use core::fmt::{self, Display};
use core::time::Duration;

const DAY: u64 = 86_400;

/// So long after the beginning of 1970: `2026-11-30 08:51:00 UTC`.
pub fn date(since_1970: Duration) -> impl Display {
    let (days, second) = (since_1970.as_secs() / DAY, since_1970.as_secs() % DAY);
    let (year, month, day) = calendar(days);
    fmt::from_fn(move |f| write!(f, "{year:04}-{month:02}-{day:02} {} UTC", time(second)))
}

/// `1 d 02:03:04`: days, hours, minutes and seconds.
pub fn span(duration: Duration) -> impl Display {
    let (days, second) = (duration.as_secs() / DAY, duration.as_secs() % DAY);
    fmt::from_fn(move |f| {
        if days != 0 {
            write!(f, "{days} d ")?;
        }
        write!(f, "{}", time(second))
    })
}

fn time(second: u64) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
}

/// Year, month and day, so many days after the first of 1970. Counted in years that begin with March, so that
/// a leap day is the last one, and in spans of 400 years, which are all as long.
fn calendar(days: u64) -> (u64, u64, u64) {
    const SPAN: u64 = 146_097;
    /// Days from the first of March of the year 0.
    const EPOCH: u64 = 719_468;
    let (spans, day) = ((days + EPOCH) / SPAN, (days + EPOCH) % SPAN);
    // Without leap days: one for each four years, but for the last of a century, but for the last of a span.
    let year = (day - day / 1460 + day / 36_524 - day / (SPAN - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, and again: 153.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let (year, month) = (400 * spans + year, if is_next_year { month - 9 } else { month + 3 });
    (year + u64::from(is_next_year), month, day)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn each_day_of_a_thousand_years_follows_the_one_before() {
        let is_leap =
            |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut expected = (1970, 1, 1);
        for day in 0..366_000 {
            assert_eq!(calendar(day), expected);
            let (year, month, day) = expected;
            let length = match month {
                2 => 28 + u64::from(is_leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day < length) {
                (_, true) => (year, month, day + 1),
                (12, _) => (year + 1, 1, 1),
                _ => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn dates_and_spans_are_written_for_people() {
        assert_eq!(date(Duration::from_secs(1_000_000_000)).to_string(), "2001-09-09 01:46:40 UTC");
        assert_eq!(span(Duration::from_millis(3_661_999)).to_string(), "01:01:01");
        assert_eq!(span(Duration::from_secs(DAY * 12 + 59)).to_string(), "12 d 00:00:59");
        // Whatever a host tells.
        assert!(date(Duration::MAX).to_string().ends_with(" UTC"));
    }
}
