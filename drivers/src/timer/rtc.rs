// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real-time clock of a PC (Motorola MC146818 and compatibles), which runs while the PC is off. Read
//! only.

use crate::hal::Ports;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;

/// In status A: the numbers are about to change, or changing.
const UPDATING: u8 = 1 << 7;
/// In status B: numbers are binary; else they are two decimal digits.
const BINARY: u8 = 1 << 2;
/// In status B: hours go to 24; else bit 7 says "afternoon".
const WHOLE_DAY: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

/// Looks at the clock before giving up. An update takes 2 ms at most, a look a microsecond or more.
const MAX_SPINS: u32 = 100_000;

/// Seconds since 1970 by this clock, which is taken to show UTC. `century` is the register that
/// ACPI's fixed table names, if it does. `None` if there is no such clock or what it shows is no
/// date.
pub fn unix_seconds<P: Ports + ?Sized>(ports: &P, century: Option<u8>) -> Option<u64> {
    // Read twice alike: nothing changed in between.
    let mut before = Reading::take(ports, century)?;
    for _ in 0..8 {
        let now = Reading::take(ports, century)?;
        if now == before {
            return now.unix_seconds();
        }
        before = now;
    }
    None
}

fn read<P: Ports + ?Sized>(ports: &P, register: u8) -> u8 {
    ports.write_u8(INDEX, register);
    ports.read_u8(DATA)
}

/// The registers as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    second: u8,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    year: u8,
    century: Option<u8>,
    form: u8,
}

impl Reading {
    fn take<P: Ports + ?Sized>(ports: &P, century: Option<u8>) -> Option<Self> {
        (0..MAX_SPINS).find(|_| read(ports, STATUS_A) & UPDATING == 0)?;
        Some(Self {
            second: read(ports, SECONDS),
            minute: read(ports, MINUTES),
            hour: read(ports, HOURS),
            day: read(ports, DAY),
            month: read(ports, MONTH),
            year: read(ports, YEAR),
            century: century.map(|register| read(ports, register & 0x7f)),
            form: read(ports, STATUS_B),
        })
    }

    fn unix_seconds(self) -> Option<u64> {
        let number = |byte| self.number(byte);
        let (minute, second) = (number(self.minute)?, number(self.second)?);
        let (month, day) = (number(self.month)?, number(self.day)?);
        let century =
            self.century.and_then(number).filter(|century| (19..=21).contains(century)).unwrap_or(20);
        let (year, hour) = (century * 100 + number(self.year)?, self.hour()?);
        let valid =
            hour < 24 && minute < 60 && second < 61 && (1..=12).contains(&month) && (1..=31).contains(&day);
        if !valid || year < 1970 {
            return None;
        }
        Some(days_since_1970(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
    }

    fn hour(self) -> Option<u64> {
        let hour = self.number(self.hour & !AFTERNOON)?;
        if self.form & WHOLE_DAY != 0 {
            return Some(hour);
        }
        // 12 stands for 0, in the morning and in the afternoon.
        let half = if self.hour & AFTERNOON != 0 { 12 } else { 0 };
        (1..=12).contains(&hour).then(|| hour % 12 + half)
    }

    /// A number in the form that status B tells.
    fn number(self, byte: u8) -> Option<u64> {
        let (tens, ones) = (byte >> 4, byte & 15);
        match self.form & BINARY {
            0 if tens < 10 && ones < 10 => Some(u64::from(tens * 10 + ones)),
            0 => None,
            _ => Some(byte.into()),
        }
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, counted in years that begin in March:
/// the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH: u64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1).checked_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock whose registers stand still.
    struct FakeClock {
        index: Cell<u8>,
        registers: [u8; 128],
    }

    impl FakeClock {
        /// Shows `numbers` (second, minute, hour, day, month, year, century) in the form of `status_b`.
        fn showing(numbers: [u8; 7], status_b: u8) -> Self {
            let mut registers = [0; 128];
            let places = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, 0x32];
            for (place, number) in places.into_iter().zip(numbers) {
                registers[usize::from(place)] = number;
            }
            registers[usize::from(STATUS_B)] = status_b;
            Self { index: Cell::new(0), registers }
        }
    }

    impl Ports for FakeClock {
        fn read_u8(&self, port: u16) -> u8 {
            if port == DATA { self.registers[usize::from(self.index.get())] } else { 0xff }
        }
        fn read_u16(&self, _port: u16) -> u16 {
            !0
        }
        fn read_u32(&self, _port: u16) -> u32 {
            !0
        }
        fn write_u8(&self, port: u16, value: u8) {
            if port == INDEX {
                self.index.set(value);
            }
        }
        fn write_u16(&self, _port: u16, _value: u16) {}
        fn write_u32(&self, _port: u16, _value: u32) {}
    }

    #[test]
    fn two_digits_and_whole_days_are_read() {
        let clock = FakeClock::showing([0x56, 0x34, 0x12, 0x29, 0x02, 0x24, 0x20], WHOLE_DAY);
        assert_eq!(unix_seconds(&clock, Some(0x32)), Some(1_709_210_096)); // 2024-02-29 12:34:56
        assert_eq!(unix_seconds(&clock, None), Some(1_709_210_096));
    }

    #[test]
    fn binary_numbers_and_half_days_are_read() {
        let clock = FakeClock::showing([59, 59, 11 | AFTERNOON, 31, 12, 99, 19], BINARY);
        assert_eq!(unix_seconds(&clock, Some(0x32)), Some(946_684_799)); // 1999-12-31 23:59:59
        let midnight = FakeClock::showing([0, 0, 12, 1, 1, 70, 19], BINARY);
        assert_eq!(unix_seconds(&midnight, Some(0x32)), Some(0));
    }

    #[test]
    fn what_is_no_date_is_no_time() {
        for numbers in
            [[0x61, 0, 0, 1, 1, 0x24, 0x20], [0, 0, 0, 0, 1, 0x24, 0x20], [0x0a, 0, 0, 1, 1, 0x24, 0x20]]
        {
            assert_eq!(unix_seconds(&FakeClock::showing(numbers, WHOLE_DAY), None), None);
        }
    }

    #[test]
    fn a_machine_without_a_clock_has_no_time() {
        assert_eq!(unix_seconds(&crate::pci::tests::FakePorts::default(), None), None);
    }
}
