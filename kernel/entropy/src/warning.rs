// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to warn of: sources that broke.

use core::fmt;

use prism_boot::capabilities::{EntropySources, Randomness};
use prism_boot::command_line::EntropyLimit;

/// `sources` but for those that `limit` rules out.
pub fn limited(mut sources: EntropySources, limit: Option<EntropyLimit>) -> EntropySources {
    if limit.is_some() {
        sources.rdseed = Randomness::Refused;
    }
    if limit == Some(EntropyLimit::Jitter) {
        sources.rdrand = Randomness::Refused;
    }
    sources
}

/// Something that whoever wants random numbers should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A source has turned out to be broken.
    Broken(&'static str),
    /// No source works any more.
    NoneLeft,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(name) => {
                write!(f, "{name} is not used any more for random numbers: it fails or repeats itself")
            }
            Self::NoneLeft => f.write_str("random numbers can be guessed: no source works"),
        }
    }
}

/// What is new `now`; `before` is what was thought of the sources until then.
pub fn warnings(before: EntropySources, now: EntropySources) -> impl Iterator<Item = Warning> {
    let sources = [
        ("RDSEED", before.rdseed, now.rdseed),
        ("RDRAND", before.rdrand, now.rdrand),
        ("jitter", before.jitter, now.jitter),
    ];
    let broken = sources.into_iter().filter(|(_, before, now)| before != now && *now == Randomness::Broken);
    let none_left = (before != now && !now.is_any_good()).then_some(Warning::NoneLeft);
    broken.map(|(name, ..)| Warning::Broken(name)).chain(none_left)
}

/// Whether the only source that works is jitter.
pub fn is_weak(sources: EntropySources) -> bool {
    let good = |source| source == Randomness::Good;
    !good(sources.rdseed) && !good(sources.rdrand) && sources.is_any_good()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use Randomness::{Absent, Broken, Good, Refused};

    use super::*;

    const fn sources([rdseed, rdrand, jitter]: [Randomness; 3]) -> EntropySources {
        EntropySources { rdseed, rdrand, jitter }
    }

    const ALL: EntropySources = sources([Good; 3]);

    fn told(before: EntropySources, now: [Randomness; 3]) -> Vec<Warning> {
        warnings(before, sources(now)).collect()
    }

    #[test]
    fn the_command_line_rules_out_the_better_ones() {
        assert_eq!(limited(ALL, None), ALL);
        assert_eq!(limited(ALL, Some(EntropyLimit::Rdrand)), sources([Refused, Good, Good]));
        assert_eq!(limited(ALL, Some(EntropyLimit::Jitter)), sources([Refused, Refused, Good]));
    }

    #[test]
    fn a_broken_source_is_warned_of_once() {
        assert_eq!(told(ALL, [Good, Broken, Good]), [Warning::Broken("RDRAND")]);
        assert_eq!(told(sources([Good, Broken, Good]), [Good, Broken, Good]), []);
        let broken = [Warning::Broken("RDSEED"), Warning::Broken("jitter")];
        assert_eq!(told(ALL, [Broken, Good, Broken]), broken);
    }

    #[test]
    fn the_loss_of_the_last_source_is_warned_of_once() {
        let before = sources([Refused, Absent, Good]);
        assert_eq!(told(before, [Refused, Absent, Broken]), [Warning::Broken("jitter"), Warning::NoneLeft]);
        assert_eq!(told(sources([Refused, Absent, Broken]), [Refused, Absent, Broken]), []);
        assert_eq!(told(sources([Absent; 3]), [Refused, Absent, Absent]), [Warning::NoneLeft], "at boot");
    }

    #[test]
    fn jitter_alone_is_weak_and_nothing_is_worse() {
        let weak =
            [[Refused, Absent, Good], [Broken, Broken, Good], [Good, Broken, Good], [Broken, Good, Broken]];
        assert_eq!(weak.map(|weak| is_weak(sources(weak))), [true, true, false, false]);
        assert!(!is_weak(sources([Absent; 3])));
    }
}
