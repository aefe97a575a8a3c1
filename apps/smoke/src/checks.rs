// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prism::xen::{event, sched, vcpu, version};
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

/// All checks, by the sentence that each proves.
pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("there is memory, and some of it is free", memory_is_there),
    ("the heap gives memory, keeps what is written, and takes it back", heap_works),
    ("floating point works", floating_point_works),
    ("time passes, and never backwards", time_passes),
    ("the console takes all that is written", console_takes_all),
    ("Xen answers twice the same", xen_answers),
    ("an event sent to oneself arrives", event_arrives),
    ("a one-shot timer fires, not early", timer_fires),
    ("there is at least one vCPU", vcpus_are_there),
];

/// A second, in nanoseconds: no wait here takes longer.
const SECOND: u64 = 1_000_000_000;

fn good_if(condition: bool, otherwise: &'static str) -> Found {
    if condition { Good } else { Bad(otherwise) }
}

fn memory_is_there(context: &Context) -> Found {
    let usage = memory::usage();
    let sane = usage.free > 0 && usage.free <= usage.total && usage.total <= context.surroundings().memory;
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
    let memory = context.surroundings().memory as f64;
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
    let found = context.surroundings();
    let (Some(calls), Some(xen)) = (found.hypervisor_calls(), found.xen) else {
        return Absent("Xen is not used here");
    };
    good_if(version::version(&calls) == Ok(xen.version), "another version than at boot")
}

fn event_arrives(context: &Context) -> Found {
    let found = context.surroundings();
    let (Some(calls), Some(bits)) = (found.hypervisor_calls(), found.events) else {
        return Absent("Xen is not used here");
    };
    let Ok(port) = event::bind_ipi(&calls, 0) else { return Bad("no port to be had") };
    let quiet = !bits.take_pending(port);
    let sent = event::send(&calls, port).is_ok();
    let arrived = bits.take_pending(port) && !bits.take_pending(port);
    let closed = event::close(&calls, port).is_ok();
    good_if(quiet && sent && arrived && closed, "it was not pending, or not once")
}

fn timer_fires(context: &Context) -> Found {
    /// `VIRQ_TIMER` of `xen.h`.
    const TIMER: u32 = 0;
    let found = context.surroundings();
    let (Some(calls), Some(bits)) = (found.hypervisor_calls(), found.events) else {
        return Absent("Xen is not used here");
    };
    let (Some(due), Some(limit)) = (time::xen_deadline(SECOND / 100), time::xen_deadline(5 * SECOND)) else {
        return Absent("no paravirtual clock");
    };
    let Ok(port) = event::bind_virq(&calls, TIMER, 0) else { return Bad("no port to be had") };
    let set = vcpu::set_singleshot_timer(&calls, 0, due).is_ok();
    while !bits.take_pending(port) {
        if time::xen_deadline(0).is_none_or(|now| now >= limit) {
            return Bad("it did not fire within 5 seconds");
        }
        if sched::poll(&calls, port.0, limit).is_err() {
            return Bad("Xen cannot wait for an event");
        }
    }
    let late_enough = time::xen_deadline(0).is_some_and(|now| now >= due);
    let closed = event::close(&calls, port).is_ok();
    good_if(set && late_enough && closed, "it fired early")
}

fn vcpus_are_there(context: &Context) -> Found {
    good_if(context.surroundings().vcpus >= 1, "none was counted")
}
