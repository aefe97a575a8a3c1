// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines of a PC's old controllers, for tasks: an interrupt is awaited. They arrive at the
//! vCPU that boots; devices may share one.

use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use core::task::{Poll, Waker};

use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use prism_arch::lines;
use prism_drivers::interrupt::Interrupt;
use prism_drivers::pic;
use spin::Mutex;

use crate::ports::CpuPorts;
use crate::{apic, time};

/// The lines that are open, a bit each.
static OPEN: AtomicU16 = AtomicU16::new(0);
static PLACES: [Place; lines::LINES] = [const { Place::new() }; lines::LINES];

/// Where the interrupts of a line are counted.
struct Place {
    count: AtomicU32,
    /// The tasks that wait for the next one.
    wakers: Mutex<Vec<Waker>>,
}

impl Place {
    const fn new() -> Self {
        Self { count: AtomicU32::new(0), wakers: Mutex::new(Vec::new()) }
    }
}

/// Takes every interrupt that has arrived, and wakes the tasks that wait for them.
pub(crate) fn take_all() {
    let open = OPEN.load(Ordering::Relaxed);
    if open == 0 {
        return;
    }
    for (line, place) in (0u8..).zip(&PLACES).filter(|(line, _)| open & 1 << line != 0) {
        if lines::take(line) {
            place.count.fetch_add(1, Ordering::AcqRel);
            let wakers = core::mem::take(&mut *place.wakers.lock());
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// A line that is open for good, as one of its devices sees it.
pub(crate) struct Line {
    place: &'static Place,
    /// Interrupts that this device's driver has seen.
    seen: AtomicU32,
}

impl Line {
    /// Opens line `number`; `None` if there is no such line.
    pub(crate) fn open(number: u8) -> Option<Self> {
        let place = PLACES.get(usize::from(number))?;
        if OPEN.fetch_or(1 << number, Ordering::Relaxed) & 1 << number == 0 {
            if let Some(apic) = apic::get() {
                apic.let_old_controllers_through();
            }
            pic::open(&CpuPorts, number);
        }
        Some(Self { place, seen: AtomicU32::new(place.count.load(Ordering::Acquire)) })
    }

    fn arrival(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            let mut wakers = self.place.wakers.lock();
            let count = self.place.count.load(Ordering::Acquire);
            if self.seen.swap(count, Ordering::Relaxed) != count {
                return Poll::Ready(());
            }
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}

impl Interrupt for Line {
    async fn wait(&self, limit: u64) {
        select(self.arrival(), Timer::after(Duration::from_nanos(limit))).await;
    }

    fn now(&self) -> u64 {
        time::nanoseconds()
    }
}
