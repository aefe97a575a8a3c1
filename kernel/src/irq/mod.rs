// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupt lines of devices, for tasks: an interrupt is awaited. They arrive at the vCPU that boots;
//! devices may share one.

pub(crate) mod apic;
mod router;

use embassy_futures::select::select;
use embassy_time::{Duration, Timer};
use log::debug;
use prism_arch::lines;
use prism_boot::firmware::controllers::{self, Signal};
use prism_drivers::hal::Interrupt;
use prism_drivers::irq::pic;
use prism_executor::lines::{Arrivals, Lines};
use spin::Once;

use crate::ports::CpuPorts;
use crate::time;
pub(crate) use router::{Ways, find};

// The crates that know of the 8259s do not know each other.
const _: () = assert!(
    controllers::PIC_LINES == lines::PIC_LINES
        && pic::VECTORS[0] == lines::FIRST_VECTOR
        && pic::VECTORS[1] == lines::FIRST_VECTOR + 8
);

/// The places where interrupts arrive.
static PLACES: Lines<{ lines::LINES }> = Lines::new();
static WAYS: Once<Ways> = Once::new();

/// Has lines arrive by these ways.
pub(crate) fn init(ways: Ways) {
    WAYS.call_once(|| ways);
}

/// Takes every interrupt that has arrived, and wakes the tasks that wait for them; how many there were.
pub(crate) fn take_all() -> u64 {
    PLACES.take_all(lines::take, |place, count| {
        // Told seldom: most of all one wants to know whether they go on.
        if count.is_power_of_two()
            && let Some(ways) = WAYS.get()
        {
            debug!("{}: interrupt {count}", ways.name(place));
        }
        if usize::from(place) < lines::PIC_LINES {
            pic::end(&CpuPorts, place);
        }
    })
}

/// A line that is open for good, as one of its devices sees it.
pub(crate) struct Line(Arrivals<'static>);

impl Line {
    /// Opens line `number`; `signal` is what counts there, if that is known. `None` if there is no such line.
    pub(crate) fn open(number: u32, signal: Option<Signal>) -> Option<Self> {
        let place = PLACES.get(WAYS.get()?.open(number, signal)?)?;
        Some(Self(Arrivals::new(Some(place))))
    }

    /// The line of a device that has none: whoever waits for it looks at the device now and then.
    pub(crate) fn silent() -> Self {
        Self(Arrivals::new(None))
    }

    /// Opens a line that firmware gave a PCI function.
    pub(crate) fn of_function(number: u8) -> Option<Self> {
        Self::open(number.into(), None)
    }
}

impl Interrupt for Line {
    async fn wait(&self, limit: u64) {
        select(self.0.next(), Timer::after(Duration::from_nanos(limit))).await;
    }

    fn now(&self) -> u64 {
        time::nanoseconds()
    }
}
