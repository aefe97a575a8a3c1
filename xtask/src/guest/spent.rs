// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the time of a guest goes to.

use std::fmt::{self, Display};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// A part of a guest's life, seen from the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The lab machine is loaded, if none is there.
    Load,
    /// Image, configuration and programs are brought into the machine.
    Bring,
    /// `xl create` makes the domain; of a QEMU this is not told.
    Create,
    /// The guest runs, and nothing beside it.
    Run,
    /// A command beside the guest runs.
    Beside,
    /// Consoles are read, and the domain is destroyed.
    Clear,
}

impl Part {
    const ALL: [Self; 6] = [Self::Load, Self::Bring, Self::Create, Self::Run, Self::Beside, Self::Clear];

    const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Bring => "bring",
            Self::Create => "create",
            Self::Run => "run",
            Self::Beside => "beside",
            Self::Clear => "clear",
        }
    }
}

/// Times of all parts. Shown, it names those that took more than a tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent([Duration; Part::ALL.len()]);

impl Spent {
    /// Counts what has passed since `begun` as this part, and gives when that was.
    pub fn until_now(&mut self, part: Part, begun: Instant) -> Instant {
        let now = Instant::now();
        self.add(part, now - begun);
        now
    }

    /// Counts so much time as this part.
    pub fn add(&mut self, part: Part, time: Duration) {
        self.0[part as usize] += time;
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, time)| *sum += time);
    }
}

impl Display for Spent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Part::ALL.iter().zip(self.0).filter(|(_, time)| time.as_millis() >= 100);
        for (number, (part, time)) in parts.enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(formatter, "{comma}{} {:.1}", part.name(), time.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_short_ones_are_not_shown() {
        let mut spent = Spent::default();
        spent.add(Part::Load, Duration::from_millis(1500));
        spent.add(Part::Clear, Duration::from_millis(50));
        let mut sum = spent;
        sum += spent;
        sum.add(Part::Run, Duration::from_secs(2));
        assert_eq!(spent.to_string(), "load 1.5");
        assert_eq!(sum.to_string(), "load 3.0, run 2.0, clear 0.1");
    }
}
