// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of a PC's devices. A task awaits one as it awaits an event channel.
//!
//! They arrive at the boot vCPU. Devices may share an interrupt line: each of them gets all its interrupts.

pub(crate) mod apic;
mod router;

use core::sync::atomic::{AtomicU16, Ordering};

use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer};
use log::debug;
use prism_arch::irq as arch;
use prism_boot::firmware::controllers::{self, Signal};
use prism_drivers::hal::Interrupt;
use prism_drivers::irq::pic;
use prism_executor::irq::{IrqEvents, IrqTable};
use spin::Once;

use crate::ports::CpuPorts;
use crate::time;
pub(crate) use router::{IrqRouter, find};

// Three crates know the numbers of the 8259s, and do not know each other.
const _: () = assert!(
    controllers::PIC_IRQS == arch::PIC_IRQS
        && pic::VECTORS[0] == arch::FIRST_VECTOR
        && pic::VECTORS[1] == arch::FIRST_VECTOR + 8
);

/// Where interrupts are counted. Each IRQ that was opened has a slot, and a vector of its own.
static SLOTS: IrqTable<{ arch::IRQS }> = IrqTable::new();
static ROUTER: Once<IrqRouter> = Once::new();
/// Lines of the 8259s whose interrupts were taken and not ended yet, a bit each.
static TAKEN: AtomicU16 = AtomicU16::new(0);

/// Routes interrupts by `router` from now on.
pub(crate) fn init(router: IrqRouter) {
    ROUTER.call_once(|| router);
}

/// Takes every interrupt that has arrived, and wakes the tasks that wait for them. Returns how many there
/// were.
pub(crate) fn take_all() -> u64 {
    SLOTS.take_all(arch::take, |slot, count| {
        // At powers of two, so that the log stays short: it shows whether interrupts go on.
        if count.is_power_of_two()
            && let Some(router) = ROUTER.get()
        {
            debug!("{}: interrupt {count}", router.name(slot));
        }
        if usize::from(slot) < arch::PIC_IRQS {
            TAKEN.fetch_or(1 << slot, Ordering::Relaxed);
        }
    })
}

/// Ends what was taken of the 8259s, before a sleep. By then drivers have looked at their devices: one that
/// still held its line up when its interrupt was ended would raise another one, for nothing.
pub(crate) fn end_taken() {
    // A look first: it costs less than a swap.
    if TAKEN.load(Ordering::Relaxed) == 0 {
        return;
    }
    let taken = TAKEN.swap(0, Ordering::Relaxed);
    let lines = (0..arch::PIC_IRQS as u8).filter(|line| taken & 1 << line != 0);
    lines.for_each(|line| pic::eoi(&CpuPorts, line));
}

/// An interrupt line that is open for good, as one of its devices sees it.
pub(crate) struct Irq(IrqEvents<'static>);

impl Irq {
    /// Opens IRQ `number`; `signal` is its trigger and polarity, if those are known. `None` if it cannot
    /// arrive.
    pub(crate) fn open(number: u32, signal: Option<Signal>) -> Option<Self> {
        let slot = SLOTS.get(ROUTER.get()?.open(number, signal)?)?;
        Some(Self(IrqEvents::new(Some(slot))))
    }

    /// The IRQ of a device that has none: its driver polls.
    pub(crate) fn none() -> Self {
        Self(IrqEvents::new(None))
    }

    /// Opens the IRQ that firmware gave a PCI function.
    pub(crate) fn of_function(number: u8) -> Option<Self> {
        Self::open(number.into(), None)
    }
}

impl Interrupt for Irq {
    async fn wait(&self, limit: core::time::Duration) {
        let end = Duration::try_from(limit).ok().and_then(|limit| Instant::now().checked_add(limit));
        match end {
            Some(end) => _ = select(self.0.next(), Timer::at(end)).await,
            None => self.0.next().await,
        }
    }

    fn now(&self) -> u64 {
        time::nanoseconds()
    }
}
