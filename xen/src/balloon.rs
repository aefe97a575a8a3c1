// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory the toolstack wants a domain to have, and the way there: `memory/` in xenstore
//! (`docs/misc/xenstore-paths.pandoc`).
//!
//! `memory/target` is a number of KiB. In a PV domain it counts all pages. In an HVM or PVH domain it leaves
//! out the graphics card's memory, which `memory/static-max`, the most that the domain may have, does count
//! where `memory/videoram` says so (libxl, `libxl__build_post`); both count pages of devices and firmware
//! which the domain's memory map does not show. So what is compared is what is missing: as much as the target
//! is below that of a domain which has everything, so much is given back of the memory map ([`Full`]).
//!
//! # Examples
//!
//! ```
//! use xen::balloon::{Full, Memory, Step};
//!
//! // A PV domain that was started with 64 MiB is to have 48 MiB. 10 MiB are free.
//! let goal = Full::counting_all(16384).goal(48 << 10);
//! assert_eq!(goal.pages, 12288);
//! let memory = Memory { present: 16384, absent: 0, spare: 2560 };
//! assert_eq!(Step::towards(goal.pages, memory), Step::GiveBack(128));
//! ```

use core::time::Duration;

use crate::time::both;
use crate::xenstore::value::Unreadable;
use crate::xenstore::{Error, Result, Store};

/// Where the toolstack says how much memory the domain is to have, in KiB.
pub const TARGET: &str = "memory/target";
/// Where the domain says whether it heeds that: `1` or `0`.
pub const FEATURE: &str = "control/feature-balloon";

/// The most that the domain may ever have, in KiB.
const STATIC_MAX: &str = "memory/static-max";
/// What of that belongs to an emulated graphics card, in KiB.
const VIDEORAM: &str = "memory/videoram";

/// Pages that one [`Step`] moves at most: a few hundred microseconds of hypercalls.
pub const BATCH: usize = 128;

const KIB_PER_PAGE: u64 = 4;
/// The largest number of KiB that makes sense: addresses of x86 have 52 bits.
const MOST_KIB: u64 = 1 << 42;
/// By how many KiB the memory map of a domain and the toolstack's number may differ: a graphics card with
/// much memory, firmware, ACPI's tables.
const LEEWAY_KIB: u64 = 256 << 10;
/// Differences that are nobody's concern: the toolstack rounds to MiB.
const ROUNDING_KIB: u64 = 1 << 10;

/// What stands at [`TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: the toolstack leaves the domain's memory as it is.
    None,
    /// The domain is to have so many KiB, 1 at least.
    Kib(u64),
    /// No such number.
    Unreadable(Unreadable),
}

impl Target {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What xenstored refuses it with, but that there is none; [`Error::Disconnected`] when the connection
    /// breaks.
    pub async fn read(store: &Store) -> Result<Self> {
        match store.value(TARGET).await {
            Err(error) if error.is_not_found() => Ok(Self::None),
            value => Ok(value?.integer(1..=MOST_KIB).map_or_else(Self::Unreadable, Self::Kib)),
        }
    }
}

/// The target at which a domain has all of its memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    kib: u64,
    pages: u64,
}

/// What a target means for the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// How many pages of it are to be there; no more than it has.
    pub pages: u64,
    /// Whether the target asks for more than that.
    pub beyond: bool,
}

impl Full {
    /// For a domain in which the target counts the pages that it has, `pages` at most: PV.
    #[must_use]
    pub const fn counting_all(pages: u64) -> Self {
        Self { kib: pages.saturating_mul(KIB_PER_PAGE), pages }
    }

    /// For a domain (HVM, PVH) with a memory map of `pages`, of which `absent` are not there while the target
    /// is `target` KiB. Asks the toolstack for its limits. Without them, or if they do not fit the map, what
    /// is there now is taken for what the target asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the connection breaks.
    pub async fn told(store: &Store, pages: u64, absent: u64, target: u64) -> Result<Self> {
        let (most, of_card) = both(number(store, STATIC_MAX), number(store, VIDEORAM)).await;
        let (most, of_card) = (most?, of_card?);
        let map = pages.saturating_mul(KIB_PER_PAGE);
        let fits = |kib: &u64| kib.abs_diff(map) <= LEEWAY_KIB;
        let told = most.and_then(|most| most.checked_sub(of_card.unwrap_or(0))).filter(fits);
        let now = Some(target.saturating_add(absent.saturating_mul(KIB_PER_PAGE))).filter(fits);
        // Some toolstacks count the card in the target, too: then it is the larger of the two.
        let first = Some(target).filter(fits).unwrap_or(0);
        Ok(Self { kib: told.or(now).unwrap_or(map).max(first), pages })
    }

    /// What a target of `target` KiB means.
    #[must_use]
    pub const fn goal(&self, target: u64) -> Goal {
        let missing = self.kib.saturating_sub(target) / KIB_PER_PAGE;
        let beyond = target.saturating_sub(self.kib) > ROUNDING_KIB;
        Goal { pages: self.pages.saturating_sub(missing), beyond }
    }
}

/// A number of KiB, if there is one.
async fn number(store: &Store, path: &str) -> Result<Option<u64>> {
    match store.value(path).await {
        Err(error @ Error::Disconnected(_)) => Err(error),
        value => Ok(value.ok().and_then(|value| value.integer(0..=MOST_KIB).ok())),
    }
}

/// The pages of a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Those that are there.
    pub present: u64,
    /// Those that are not, and could be.
    pub absent: u64,
    /// Those that are there, and may be given back now.
    pub spare: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the goal is reached.
    Reached,
    /// Give so many pages back.
    GiveBack(u64),
    /// Take so many.
    Take(u64),
    /// More would have to be given back, but there is nothing to spare now.
    Short,
}

impl Step {
    /// The next step to a goal of so many pages: [`BATCH`] at most.
    #[must_use]
    pub fn towards(goal: u64, memory: Memory) -> Self {
        let Memory { present, absent, spare } = memory;
        let take = goal.saturating_sub(present).min(absent).min(BATCH as u64);
        let give_back = present.saturating_sub(goal).min(spare).min(BATCH as u64);
        match (take, give_back) {
            (1.., _) => Self::Take(take),
            (_, 1..) => Self::GiveBack(give_back),
            _ if present > goal => Self::Short,
            _ => Self::Reached,
        }
    }
}

/// Pauses between attempts: a second, then twice as long each time up to a minute, half an hour in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    made: u32,
}

impl Retries {
    const MOST: u32 = 36;
    const LONGEST: u64 = 60;

    /// None was made.
    #[must_use]
    pub const fn new() -> Self {
        Self { made: 0 }
    }

    /// How long to wait before the next attempt; `None` if it is time to give up.
    pub fn next_pause(&mut self) -> Option<Duration> {
        if self.made >= Self::MOST {
            return None;
        }
        let seconds = 1_u64.checked_shl(self.made).map_or(Self::LONGEST, |pause| pause.min(Self::LONGEST));
        self.made += 1;
        Some(Duration::from_secs(seconds))
    }

    /// Whether the next attempt is the first one.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.made == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 256;

    fn all_present(pages: u64) -> Memory {
        Memory { present: pages, absent: 0, spare: pages }
    }

    #[test]
    fn a_pv_domain_has_the_pages_that_the_target_says() {
        let full = Full::counting_all(64 * MIB);
        assert_eq!(full.goal(64 << 10), Goal { pages: 64 * MIB, beyond: false });
        assert_eq!(full.goal(32 << 10), Goal { pages: 32 * MIB, beyond: false });
        assert_eq!(full.goal(1), Goal { pages: 1, beyond: false });
    }

    #[test]
    fn a_target_beyond_the_maximum_is_the_maximum() {
        let full = Full::counting_all(64 * MIB);
        assert_eq!(full.goal(65 << 10), Goal { pages: 64 * MIB, beyond: false }, "rounding");
        for target in [(65 << 10) + 1, MOST_KIB, u64::MAX] {
            assert_eq!(full.goal(target), Goal { pages: 64 * MIB, beyond: true });
        }
    }

    #[test]
    fn steps_are_bounded_and_leave_what_cannot_be_spared() {
        assert_eq!(Step::towards(64, all_present(1000)), Step::GiveBack(128));
        assert_eq!(Step::towards(990, all_present(1000)), Step::GiveBack(10));
        assert_eq!(Step::towards(0, Memory { spare: 5, ..all_present(1000) }), Step::GiveBack(5));
        assert_eq!(Step::towards(0, Memory { spare: 0, ..all_present(1000) }), Step::Short);
        assert_eq!(Step::towards(1000, all_present(1000)), Step::Reached);
        assert_eq!(Step::towards(2000, all_present(1000)), Step::Reached, "there is no more");
        let some = Memory { present: 10, absent: 1000, spare: 0 };
        assert_eq!(Step::towards(500, some), Step::Take(128));
        assert_eq!(Step::towards(11, some), Step::Take(1));
    }

    #[test]
    fn attempts_are_ever_rarer_and_end() {
        let mut retries = Retries::new();
        assert!(retries.is_fresh());
        let pauses: Vec<u64> =
            std::iter::from_fn(|| retries.next_pause()).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((pauses.len(), pauses.iter().sum::<u64>()), (36, 63 + 30 * 60));
        assert!(!retries.is_fresh());
    }

    proptest! {
        /// Whatever the goal, pages are neither lost nor invented, and the least is kept.
        #[test]
        fn any_goal_is_approached_and_nothing_is_lost(
            goal in 0_u64..5000, present in 0_u64..3000, absent in 0_u64..3000, kept in 0_u64..3000,
        ) {
            let mut memory = Memory { present, absent, spare: present.saturating_sub(kept) };
            let mut steps = 0;
            loop {
                match Step::towards(goal, memory) {
                    Step::GiveBack(count) => {
                        prop_assert!((1..=BATCH as u64).contains(&count));
                        memory.present -= count;
                        memory.absent += count;
                        prop_assert!(memory.present >= kept);
                    }
                    Step::Take(count) => {
                        prop_assert!((1..=BATCH as u64).contains(&count));
                        memory.present += count;
                        memory.absent -= count;
                    }
                    Step::Short => break prop_assert!(memory.present <= kept && memory.present > goal),
                    Step::Reached => break prop_assert_eq!(memory.present, goal.min(present + absent)),
                }
                memory.spare = memory.present.saturating_sub(kept);
                steps += 1;
                prop_assert!(steps < 50);
            }
            prop_assert_eq!(memory.present + memory.absent, present + absent);
        }
    }
}
