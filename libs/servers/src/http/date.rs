// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dates as they stand in heads: RFC 9110 section 5.6.7.

use core::fmt;
use core::time::Duration;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [(&str, u64); 12] = [
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
    ("Jan", 31),
    ("Feb", 29),
];
/// Days of 400 years, of a century that does not end them, and of four years.
const ERA: u64 = 146_097;
const CENTURY: u64 = 36_524;
const OLYMPIAD: u64 = 1461;
/// Days from the first of March of the year 0 to the beginning of 1970.
const EPOCH: u64 = 719_468;
/// Seconds up to the year 10000, whose dates cannot be written.
const END: u64 = 253_402_300_800;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date(u64);

impl Date {
    /// The moment so long after the beginning of 1970; `None` if it has no date of four digits.
    pub(super) fn new(since_1970: Duration) -> Option<Self> {
        Some(Self(since_1970.as_secs())).filter(|date| date.0 < END)
    }
}

/// Year, month and day. Years begin in March here, so that a leap day is the last one.
fn calendar(days: u64) -> (u64, &'static str, u64) {
    let (eras, day) = ((days + EPOCH) / ERA, (days + EPOCH) % ERA);
    let centuries = (day / CENTURY).min(3);
    let day = day - centuries * CENTURY;
    let (olympiads, day) = (day / OLYMPIAD, day % OLYMPIAD);
    let years = (day / 365).min(3);
    let mut day = day - years * 365;
    let year = 400 * eras + 100 * centuries + 4 * olympiads + years;
    for (place, (month, length)) in MONTHS.into_iter().enumerate() {
        if day < length {
            return (year + u64::from(place >= 10), month, day + 1);
        }
        day -= length;
    }
    (year, "Feb", 29)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let name = DAYS.get((days % 7) as usize).unwrap_or(&"");
        let (year, month, day) = calendar(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_standard_does() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (END - 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let date = Date::new(Duration::from_secs(seconds)).unwrap();
            assert_eq!(alloc::format!("{date}"), text);
        }
        assert_eq!(Date::new(Duration::from_secs(END)), None);
    }
}
