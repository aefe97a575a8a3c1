// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prism::embassy_time::{Duration, Instant, Timer, with_timeout};
use prism::event::EventChannel;
use prism::xen::version;
use prism::{Context, console, memory, time};

/// What a check found.
pub(crate) enum Found {
    /// As it should be.
    Good,
    /// This machine does not have it.
    Absent(&'static str),
    /// Broken.
    Bad(&'static str),
}

use Found::{Absent, Bad, Good};

/// A check.
type Check = fn(&Context) -> Found;

/// The checks that wait for nothing, by the sentence that each proves.
const CHECKS: &[(&str, Check)] = &[
    ("there is memory, and some of it is free", memory_is_there),
    ("the heap gives memory, keeps what is written, and takes it back", heap_works),
    ("floating point works", floating_point_works),
    ("time passes, and never backwards", time_passes),
    ("the console takes all that is written", console_takes_all),
    ("Xen answers twice the same", xen_answers),
    ("there is at least one vCPU", vcpus_are_there),
];

/// Runs every check, and tells `report` of each by the sentence that it proves.
pub(crate) async fn run(context: &Context, mut report: impl FnMut(&str, Found)) {
    for (name, check) in CHECKS {
        report(name, check(context));
    }
    report("events sent to oneself arrive, each once", event_arrives(context).await);
    report("timers fire, and not early", timers_fire(context).await);
}

/// A second, in nanoseconds: no wait here takes longer.
const SECOND: u64 = 1_000_000_000;

fn good_if(condition: bool, otherwise: &'static str) -> Found {
    if condition { Good } else { Bad(otherwise) }
}

fn memory_is_there(context: &Context) -> Found {
    let usage = memory::usage();
    let sane = usage.free > 0 && usage.free <= usage.total && usage.total <= context.environment().memory;
    good_if(sane, "the figures contradict each other")
}

fn heap_works(_: &Context) -> Found {
    let pattern = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let blocks: Vec<Box<[u64]>> =
        (1..64).map(|size| (0..size * 16).map(|index| pattern(index + size)).collect()).collect();
    let kept = blocks
        .iter()
        .zip(1..)
        .all(|(block, size)| block.iter().enumerate().all(|(index, word)| *word == pattern(index + size)));
    drop(blocks);
    let before = memory::usage().free;
    drop(Vec::<u8>::with_capacity(16 * 1024));
    good_if(kept && memory::usage().free == before, "what was written was not read back")
}

fn floating_point_works(context: &Context) -> Found {
    // From a run-time value, or the compiler would do the sum.
    let memory = context.environment().memory as f64;
    let third = memory / 3.0;
    good_if((third * 3.0 - memory).abs() < 1.0, "a third times three is not one")
}

fn time_passes(_: &Context) -> Found {
    let start = time::nanoseconds();
    let mut last = start;
    for _ in 0..100_000_000u32 {
        let now = time::nanoseconds();
        if now < last {
            return Bad("it went back");
        }
        last = now;
        if now - start > SECOND / 1000 {
            return Good;
        }
    }
    Bad("it stands still")
}

fn console_takes_all(_: &Context) -> Found {
    good_if(console::lost() == 0, "some was dropped")
}

fn xen_answers(context: &Context) -> Found {
    let found = context.environment();
    let (Some(calls), Some(xen)) = (found.hypervisor_calls(), found.xen) else {
        return Absent("Xen is not used here");
    };
    good_if(version::version(&calls) == Ok(xen.version), "another version than at boot")
}

async fn event_arrives(context: &Context) -> Found {
    if !context.environment().is_paravirtual() {
        return Absent("Xen is not used here");
    }
    let Ok(channel) = EventChannel::to_self(0) else { return Bad("no port to be had") };
    for _ in 0..100 {
        if channel.notify().is_err() {
            return Bad("it could not be sent");
        }
        if with_timeout(Duration::from_secs(1), channel.wait()).await.is_err() {
            return Bad("it was lost");
        }
    }
    let more = with_timeout(Duration::from_millis(10), channel.wait()).await;
    good_if(more.is_err(), "one more arrived than was sent")
}

async fn timers_fire(_: &Context) -> Found {
    let mut last = Instant::now();
    for pause in [1, 10, 30] {
        let due = last + Duration::from_millis(pause);
        Timer::at(due).await;
        last = Instant::now();
        if last < due {
            return Bad("one fired early");
        }
    }
    Good
}

fn vcpus_are_there(context: &Context) -> Found {
    good_if(context.environment().vcpus >= 1, "none was counted")
}
