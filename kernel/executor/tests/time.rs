// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time and the date of a machine whose clocks are in memory here, and whose counters are parameters.

use std::time::Duration;

use prism_executor::time::{NoDate, Source, Time, Wall};
use xen::shared::Shared;
use xen::time::{Clock, WallClock};
use xen_sys::xen::vcpu_time_info;

/// A clock that shows so many nanoseconds more than the counter does.
fn clock(ahead: u64) -> Clock {
    // A counter of 1 GHz, whose ticks are nanoseconds.
    in_memory(vcpu_time_info {
        version: 2,
        system_time: ahead,
        tsc_to_system_mul: 1 << 31,
        tsc_shift: 1,
        ..Default::default()
    })
}

/// A clock that is always being changed.
fn broken() -> Clock {
    in_memory(vcpu_time_info { version: 1, ..Default::default() })
}

fn in_memory(info: vcpu_time_info) -> Clock {
    // SAFETY: never freed, and used by nothing else.
    Clock::new(unsafe { Shared::at((&raw mut *Box::leak(Box::new(info))).expose_provenance() as u64) })
}

/// The date at which the clock showed zero, as KVM tells it.
fn date_at_zero(seconds: u32) -> WallClock {
    let page: &mut [u32; 3] = Box::leak(Box::new([2, seconds, 0]));
    // SAFETY: never freed, and used by nothing else.
    let page = unsafe { Shared::at((&raw mut *page).expose_provenance() as u64) };
    WallClock::of_kvm(page).expect("there is one")
}

fn started(source: Source, at: u64) -> Time<3> {
    let time = Time::new();
    time.start(source, 0, || at);
    time
}

#[test]
fn before_there_is_a_clock_time_stands_and_there_is_no_date() {
    let time = Time::<3>::new();
    time.choose_wall_clock(Wall::AtStart(Duration::from_secs(9)));
    time.join(1, || panic!("there is nothing to be read"));
    assert_eq!((time.has_begun(), time.now(0, || 5_000)), (false, 0));
    assert_eq!(time.date(0, || 5_000), Err(NoDate::Untold));
    assert_eq!((time.reading_in(0, || 5_000, 1), time.timestamp_khz()), (None, None));
}

#[test]
fn a_counter_of_known_frequency_is_a_clock() {
    let time = started(Source::Timestamp { khz: 2_000_000 }, 1_000_000);
    assert!(time.has_begun());
    assert_eq!((time.now(0, || 1_000_002), time.timestamp_khz()), (1, Some(2_000_000)));
}

#[test]
fn each_vcpu_reads_its_own_clock_and_one_without_the_first_ones() {
    let time = started(Source::Paravirtual(clock(1_000)), 500);
    time.add_vcpu(1, clock(1_030));
    time.add_vcpu(1, clock(7_000));
    time.add_vcpu(5, clock(7_000));
    // Of vCPU 0 there is one already.
    time.add_vcpu(0, clock(7_000));
    let readings = [0, 1, 2, 5].map(|vcpu| time.reading_in(vcpu, || 500, 10));
    assert_eq!(readings, [Some(1_510), Some(1_540), Some(1_510), Some(1_510)]);
    assert_eq!(time.now(0, || 510), 10);
    assert_eq!(time.now(1, || 510), 40);
    assert_eq!(time.now(2, || 520), 40, "it is asked on another vCPU, and never goes back");
}

#[test]
fn a_time_is_what_the_clock_of_the_vcpu_will_show_then() {
    let time = started(Source::Paravirtual(clock(1_000)), 500);
    assert_eq!(time.reading_at(0, 250), 1_750);
    assert_eq!(time.reading_in(0, || 750, u64::MAX), Some(u64::MAX));
}

#[test]
fn a_vcpu_whose_clock_differs_by_much_joins_the_others() {
    let time = started(Source::Paravirtual(clock(0)), 0);
    time.add_vcpu(1, clock(50_000_000_000));
    time.now(0, || 100);
    time.join(1, || 100);
    assert_eq!(time.now(1, || 150), 150);
    assert_eq!(time.reading_at(1, 150), 50_000_000_150);
}

#[test]
fn a_counter_has_no_system_time_for_hypercalls() {
    let time = started(Source::Timestamp { khz: 1_000_000 }, 0);
    assert_eq!(time.reading_in(0, || 0, 1), None);
}

#[test]
fn a_date_at_the_start_goes_on_with_the_time() {
    let time = started(Source::Timestamp { khz: 1_000_000 }, 4_000);
    assert_eq!(time.date(0, || 5_000), Err(NoDate::Untold));
    time.choose_wall_clock(Wall::AtStart(Duration::from_secs(9)));
    assert_eq!(time.date(0, || 5_000), Ok(Duration::new(9, 1_000)));
}

#[test]
fn a_paravirtual_date_goes_on_with_the_clocks_own_reading() {
    let time = started(Source::Paravirtual(clock(3_000_000_000)), 0);
    time.choose_wall_clock(Wall::Paravirtual(date_at_zero(100)));
    assert_eq!(time.date(0, || 7), Ok(Duration::new(103, 7)));
}

#[test]
fn a_date_that_cannot_be_read_is_none_but_is_told_by_somebody() {
    let time = started(Source::Paravirtual(broken()), 0);
    time.choose_wall_clock(Wall::Paravirtual(date_at_zero(100)));
    assert_eq!((time.date(0, || 7), time.now(0, || 7)), (Err(NoDate::Unreadable), 0));
    let time = started(Source::Timestamp { khz: 1 }, 0);
    time.choose_wall_clock(Wall::AtStart(Duration::MAX));
    assert_eq!(time.date(0, || 1), Err(NoDate::Unreadable));
}
