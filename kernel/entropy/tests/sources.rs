// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sources that work, fail, repeat themselves, and stop in the middle.

use std::cell::Cell;
use std::rc::Rc;

use prism_boot::capabilities::{EntropySources, Randomness};
use prism_entropy::{NoSource, Pool, Processor, examine};
use proptest::prelude::*;

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// It is not there.
    Nothing,
    /// Another number each time.
    Count,
    /// The same number each time.
    Repeat(u64),
    /// Two numbers in turn.
    Alternate,
    /// Fails so many times before each number.
    FailFirst(u32),
    /// Works so often, then gives the same number for ever.
    StickAfter(u32),
}

struct Cpu {
    rdseed: Does,
    rdrand: Does,
    calls: Cell<u32>,
    time: Cell<u64>,
    /// Whether the counter counts the same between any two looks at it.
    regular: bool,
}

impl Cpu {
    fn new(rdseed: Does, rdrand: Does) -> Self {
        Self { rdseed, rdrand, calls: Cell::new(0), time: Cell::new(1), regular: false }
    }

    fn regular(self) -> Self {
        Self { regular: true, ..self }
    }

    fn step(&self, does: Does) -> Option<Option<u64>> {
        let calls = self.calls.get();
        self.calls.set(calls + 1);
        let number = u64::from(calls).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some(match does {
            Does::Nothing => return None,
            Does::Count => Some(number),
            Does::Repeat(same) => Some(same),
            Does::Alternate => Some(u64::from(calls % 2)),
            Does::FailFirst(failures) => (calls % (failures + 1) == failures).then_some(number),
            Does::StickAfter(good) => Some(if calls < good { number } else { 5 }),
        })
    }
}

impl Processor for Cpu {
    fn rdseed(&self) -> Option<Option<u64>> {
        self.step(self.rdseed)
    }

    fn rdrand(&self) -> Option<Option<u64>> {
        self.step(self.rdrand)
    }

    fn timestamp(&self) -> u64 {
        let step = if self.regular { 20 } else { self.time.get().wrapping_mul(0x5851_f42d_4c95_7f2d) >> 58 };
        self.time.set(self.time.get() + 20 + step);
        self.time.get()
    }
}

fn numbers(pool: &mut Pool<Cpu>) -> [u8; 32] {
    let mut bytes = [0; 32];
    pool.fill(&mut bytes);
    bytes
}

fn pool(cpu: Cpu, personal: &[u8]) -> Pool<Cpu> {
    let sources = examine(&cpu);
    Pool::new(cpu, sources, personal)
}

#[test]
fn instructions_that_give_different_numbers_are_good() {
    let good =
        EntropySources { rdseed: Randomness::Good, rdrand: Randomness::Good, jitter: Randomness::Good };
    assert_eq!(examine(&Cpu::new(Does::Count, Does::Count)), good);
}

#[test]
fn instructions_that_the_cpu_lacks_are_absent() {
    let sources = examine(&Cpu::new(Does::Nothing, Does::Nothing));
    assert_eq!((sources.rdseed, sources.rdrand), (Randomness::Absent, Randomness::Absent));
    assert_eq!(sources.jitter, Randomness::Good);
}

#[test]
fn an_instruction_that_always_gives_the_same_is_broken() {
    for same in [0, 1, u64::MAX] {
        let sources = examine(&Cpu::new(Does::Repeat(same), Does::Repeat(same)));
        assert_eq!((sources.rdseed, sources.rdrand), (Randomness::Broken, Randomness::Broken));
    }
}

#[test]
fn an_instruction_that_gives_two_numbers_in_turn_is_broken() {
    assert_eq!(examine(&Cpu::new(Does::Nothing, Does::Alternate)).rdrand, Randomness::Broken);
}

#[test]
fn rdrand_is_tried_ten_times_and_rdseed_a_hundred_times() {
    let worth = |failures| {
        let does = Does::FailFirst(failures);
        (examine(&Cpu::new(does, Does::Nothing)).rdseed, examine(&Cpu::new(Does::Nothing, does)).rdrand)
    };
    assert_eq!(worth(9), (Randomness::Good, Randomness::Good));
    assert_eq!(worth(10), (Randomness::Good, Randomness::Broken));
    assert_eq!(worth(99), (Randomness::Good, Randomness::Broken));
    assert_eq!(worth(100), (Randomness::Broken, Randomness::Broken));
}

#[test]
fn a_counter_with_constant_steps_is_no_source() {
    let sources = examine(&Cpu::new(Does::Nothing, Does::Nothing).regular());
    assert_eq!(sources.jitter, Randomness::Broken);
}

#[test]
fn an_instruction_that_sticks_after_the_examination_is_found_out_when_it_is_used_again() {
    let mut pool = pool(Cpu::new(Does::StickAfter(40), Does::Nothing), &[]);
    assert_eq!(pool.sources().rdseed, Randomness::Good);
    (0..20).for_each(|_| pool.mix(&[]));
    assert_eq!(pool.sources().rdseed, Randomness::Broken);
    assert_ne!(numbers(&mut pool), numbers(&mut pool));
}

#[test]
fn machines_that_differ_only_in_their_personalization_give_different_numbers() {
    let of = |personal: &[u8]| numbers(&mut pool(Cpu::new(Does::Nothing, Does::Nothing).regular(), personal));
    assert_eq!(of(b"one"), of(b"one"));
    assert_ne!(of(b"one"), of(b"another"));
}

#[test]
fn copies_of_a_machine_part_when_something_is_mixed_in() {
    let twin = || pool(Cpu::new(Does::Nothing, Does::Nothing).regular(), &[]);
    let (mut one, mut other) = (twin(), twin());
    assert_eq!(numbers(&mut one), numbers(&mut other));
    one.mix(b"resumed here");
    other.mix(b"resumed there");
    assert_ne!(numbers(&mut one), numbers(&mut other));
}

#[test]
fn a_copy_looks_at_the_counter_only_where_rdseed_does_not_work() {
    let looks = |rdseed| {
        let cpu = Cpu::new(rdseed, Does::Nothing).regular();
        let sources = examine(&cpu);
        let since = |before| (cpu.time.get() - before) / 40;
        let before = cpu.time.get();
        let mut pool = Pool::new(&cpu, sources, &[]);
        let (first, before) = (since(before), cpu.time.get());
        pool.mix(&[]);
        (first, since(before))
    };
    let (first, again) = looks(Does::Count);
    assert!(first > 96 && again == 0, "{first}, then {again}");
    for broken in [Does::Nothing, Does::Repeat(7)] {
        let (first, again) = looks(broken);
        assert!(first > 1024 && again > 1024, "{first}, then {again}");
    }
}

#[test]
fn fresh_material_is_mixed_in_after_64_kib_and_after_1024_requests() {
    let calls_after = |requests: usize, bytes: usize| {
        let cpu = Cpu::new(Does::Count, Does::Nothing);
        let calls = &cpu.calls;
        let sources = examine(&cpu);
        let mut pool = Pool::new(&cpu, sources, &[]);
        let before = calls.get();
        (0..requests).for_each(|_| pool.fill(&mut vec![0; bytes]));
        calls.get() - before
    };
    assert_eq!(calls_after(1024, 1), 0);
    assert_eq!(calls_after(1025, 1), 4);
    assert_eq!(calls_after(2, 32 * 1024), 0);
    assert_eq!(calls_after(2, 32 * 1024 + 1), 4);
}

impl Processor for &Cpu {
    fn rdseed(&self) -> Option<Option<u64>> {
        (*self).rdseed()
    }

    fn rdrand(&self) -> Option<Option<u64>> {
        (*self).rdrand()
    }

    fn timestamp(&self) -> u64 {
        (*self).timestamp()
    }
}

proptest! {
    #[test]
    fn whatever_the_sources_do_no_request_repeats_an_earlier_one(
        same in any::<u64>(), good in 0u32..100, regular in any::<bool>(), requests in 2usize..50,
    ) {
        for (rdseed, rdrand) in [
            (Does::Repeat(same), Does::Nothing),
            (Does::StickAfter(good), Does::FailFirst(good)),
            (Does::Nothing, Does::Nothing),
        ] {
            let cpu = Cpu { regular, ..Cpu::new(rdseed, rdrand) };
            let mut pool = pool(cpu, &[]);
            let mut seen: Vec<[u8; 32]> = (0..requests).map(|_| numbers(&mut pool)).collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), requests);
        }
    }
}

/// A CPU whose state the test can set back: what it was copied from, or to.
#[derive(Clone)]
struct Copied {
    time: Rc<Cell<u64>>,
    rdrand: Option<Rc<Cell<u64>>>,
}

impl Copied {
    fn new(rdrand: bool) -> Self {
        Self { time: Rc::new(Cell::new(1000)), rdrand: rdrand.then(|| Rc::new(Cell::new(7))) }
    }

    fn pool(&self) -> Pool<Self> {
        Pool::new(self.clone(), examine(self), b"the same")
    }
}

impl Processor for Copied {
    fn rdseed(&self) -> Option<Option<u64>> {
        None
    }

    fn rdrand(&self) -> Option<Option<u64>> {
        let number = self.rdrand.as_ref()?;
        number.set(number.get() + 1);
        Some(Some(number.get()))
    }

    fn timestamp(&self) -> u64 {
        self.time.get()
    }
}

fn next(pool: &mut Pool<Copied>) -> [u8; 16] {
    let mut bytes = [0; 16];
    pool.fill(&mut bytes);
    bytes
}

#[test]
fn a_copy_of_a_machine_goes_on_differently_at_once_if_its_rdrand_does() {
    let (one, other) = (Copied::new(true), Copied::new(true));
    let (mut first, mut second) = (one.pool(), other.pool());
    assert_eq!(next(&mut first), next(&mut second), "the two are alike up to here");
    other.rdrand.as_ref().unwrap().set(1 << 40);
    assert_ne!(next(&mut first), next(&mut second));
}

#[test]
fn a_copy_of_a_machine_goes_on_differently_at_once_if_its_counter_does() {
    let (one, other) = (Copied::new(false), Copied::new(false));
    let (mut first, mut second) = (one.pool(), other.pool());
    assert_eq!(next(&mut first), next(&mut second), "the two are alike up to here");
    other.time.set(1001);
    assert_ne!(next(&mut first), next(&mut second));
    other.time.set(1000);
    assert_ne!(next(&mut first), next(&mut second), "and stay different");
}

#[test]
fn without_a_source_that_works_there_are_no_numbers_for_secrets() {
    let mut bytes = [0; 32];
    let nothing = pool(Cpu::new(Does::Repeat(1), Does::Alternate).regular(), b"").try_fill(&mut bytes);
    assert_eq!(nothing, Err(NoSource));
    let jitter = pool(Cpu::new(Does::Nothing, Does::Nothing), b"").try_fill(&mut bytes);
    assert_eq!(jitter, Ok(()));
}

#[test]
fn a_source_that_breaks_between_two_requests_is_noticed_at_the_next() {
    let mut pool = pool(Cpu::new(Does::Nothing, Does::StickAfter(40)).regular(), b"");
    let mut bytes = [0; 8];
    assert_eq!(pool.try_fill(&mut bytes), Ok(()));
    assert!((0..40).any(|_| pool.try_fill(&mut bytes) == Err(NoSource)));
    assert_eq!(pool.sources().rdrand, Randomness::Broken);
}
