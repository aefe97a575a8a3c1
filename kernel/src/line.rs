// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines of a PC's old controllers, for tasks: a line is an owned value, and its interrupt
//! is awaited. They arrive at the vCPU that boots.

use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
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

/// Where an interrupt is noted until the task that waits for it has seen it.
struct Place {
    arrived: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Place {
    const fn new() -> Self {
        Self { arrived: AtomicBool::new(false), waker: Mutex::new(None) }
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
            place.arrived.store(true, Ordering::Release);
            if let Some(waker) = place.waker.lock().take() {
                waker.wake();
            }
        }
    }
}

/// A line that is open for good.
pub(crate) struct Line(&'static Place);

impl Line {
    /// Opens line `number`; `None` if there is no such line, or it is open already.
    pub(crate) fn open(number: u8) -> Option<Self> {
        let place = PLACES.get(usize::from(number))?;
        if OPEN.fetch_or(1 << number, Ordering::Relaxed) & 1 << number != 0 {
            return None;
        }
        if let Some(apic) = apic::get() {
            apic.let_old_controllers_through();
        }
        pic::open(&CpuPorts, number);
        Some(Self(place))
    }

    fn arrival(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            *self.0.waker.lock() = Some(context.waker().clone());
            if self.0.arrived.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
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
