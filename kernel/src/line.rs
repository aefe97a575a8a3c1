// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines of devices, for tasks: an interrupt is awaited. They arrive at the vCPU that boots;
//! devices may share one.

mod ways;

use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Poll, Waker};

use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use log::debug;
use prism_arch::lines;
use prism_boot::controllers::{self, Signal};
use prism_drivers::interrupt::Interrupt;
use prism_drivers::pic;
use spin::{Mutex, Once};

use crate::ports::CpuPorts;
use crate::time;
pub(crate) use ways::{Ways, find};

// The crates that know of the 8259s do not know each other.
const _: () = assert!(
    controllers::PIC_LINES == lines::PIC_LINES
        && pic::VECTORS[0] == lines::FIRST_VECTOR
        && pic::VECTORS[1] == lines::FIRST_VECTOR + 8
);

/// The places where interrupts may arrive, a bit each.
static OPEN: AtomicU64 = AtomicU64::new(0);
static PLACES: [Place; lines::LINES] = [const { Place::new() }; lines::LINES];
static WAYS: Once<Ways> = Once::new();

/// Has lines arrive by these ways.
pub(crate) fn begin(ways: Ways) {
    WAYS.call_once(|| ways);
}

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

/// Takes every interrupt that has arrived, and wakes the tasks that wait for them; how many there were.
pub(crate) fn take_all() -> u64 {
    let open = OPEN.load(Ordering::Relaxed);
    if open == 0 {
        return 0;
    }
    let mut taken = 0;
    for (line, place) in (0u8..).zip(&PLACES).filter(|(line, _)| open & 1 << line != 0) {
        if lines::take(line) {
            taken += 1;
            let count = place.count.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
            // Told seldom: most of all one wants to know whether they go on.
            if count.is_power_of_two()
                && let Some(ways) = WAYS.get()
            {
                debug!("{}: interrupt {count}", ways.name(line));
            }
            if usize::from(line) < lines::PIC_LINES {
                pic::end(&CpuPorts, line);
            }
            let wakers = core::mem::take(&mut *place.wakers.lock());
            wakers.into_iter().for_each(Waker::wake);
        }
    }
    taken
}

/// A line that is open for good, as one of its devices sees it.
pub(crate) struct Line {
    /// None if nothing is ever heard of it.
    place: Option<&'static Place>,
    /// Interrupts that this device's driver has seen.
    seen: AtomicU32,
}

impl Line {
    /// Opens line `number`; `signal` is what counts there, if that is known. `None` if there is no such line.
    pub(crate) fn open(number: u32, signal: Option<Signal>) -> Option<Self> {
        let place = PLACES.get(WAYS.get()?.open(number, signal)?)?;
        Some(Self { place: Some(place), seen: AtomicU32::new(place.count.load(Ordering::Acquire)) })
    }

    /// The line of a device that has none: whoever waits for it looks at the device now and then.
    pub(crate) fn silent() -> Self {
        Self { place: None, seen: AtomicU32::new(0) }
    }

    /// Opens a line that firmware gave a PCI function.
    pub(crate) fn of_function(number: u8) -> Option<Self> {
        Self::open(number.into(), None)
    }

    fn arrival(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            let Some(place) = self.place else { return Poll::Pending };
            let mut wakers = place.wakers.lock();
            let count = place.count.load(Ordering::Acquire);
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
