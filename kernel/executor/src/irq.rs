// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts of devices, and the tasks that wait for them. The devices on an interrupt line share it.

use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::task::{Poll, Waker};

use spin::Mutex;

/// A table of `COUNT` IRQs, 64 at most.
#[derive(Debug)]
pub struct IrqTable<const COUNT: usize> {
    /// The open IRQs, a bit each.
    open: AtomicU64,
    irqs: [IrqSlot; COUNT],
}

/// Counts the interrupts of one IRQ.
#[derive(Debug)]
pub struct IrqSlot {
    count: AtomicU32,
    /// The tasks that wait for the next one.
    wakers: Mutex<Vec<Waker>>,
}

impl<const COUNT: usize> Default for IrqTable<COUNT> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const COUNT: usize> IrqTable<COUNT> {
    const FEW: () = assert!(COUNT <= 64);

    /// None of them is open.
    pub const fn new() -> Self {
        let () = Self::FEW;
        Self { open: AtomicU64::new(0), irqs: [const { IrqSlot::new() }; COUNT] }
    }

    /// Opens an IRQ, and returns whether it was closed. An interrupt from before is still taken. A number
    /// that is too large opens nothing.
    pub fn open(&self, number: u8) -> bool {
        if usize::from(number) >= COUNT {
            return false;
        }
        let bit = 1 << number;
        self.open.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// The IRQ of this number, if it exists.
    pub fn get(&self, number: usize) -> Option<&IrqSlot> {
        self.irqs.get(number)
    }

    /// Takes an interrupt of each open IRQ that has raised one: `take` tells, and clears it. Calls `end` with
    /// the IRQ's number and count before it wakes the tasks that wait. Returns how many IRQs that were. An
    /// IRQ that keeps raising interrupts is taken once.
    pub fn take_all(&self, mut take: impl FnMut(u8) -> bool, mut end: impl FnMut(u8, u32)) -> u64 {
        let open = self.open.load(Ordering::Relaxed);
        if open == 0 {
            return 0;
        }
        let mut taken = 0;
        for (number, irq) in (0u8..).zip(&self.irqs) {
            if open & 1 << number != 0 && take(number) {
                taken += 1;
                end(number, irq.count());
                irq.wake();
            }
        }
        taken
    }
}

impl IrqSlot {
    const fn new() -> Self {
        Self { count: AtomicU32::new(0), wakers: Mutex::new(Vec::new()) }
    }

    /// Counts one more, and returns the count.
    fn count(&self) -> u32 {
        self.count.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    fn wake(&self) {
        let wakers = core::mem::take(&mut *self.wakers.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// An IRQ, as the driver of one of its devices sees it.
#[derive(Debug)]
pub struct IrqEvents<'a> {
    /// `None` for a device without an IRQ.
    irq: Option<&'a IrqSlot>,
    /// Interrupts that this device's driver has seen.
    seen: AtomicU32,
}

impl<'a> IrqEvents<'a> {
    /// The interrupts of `irq` from now on; without one there are none.
    pub fn new(irq: Option<&'a IrqSlot>) -> Self {
        let seen = irq.map_or(0, |irq| irq.count.load(Ordering::Acquire));
        Self { irq, seen: AtomicU32::new(seen) }
    }

    /// Waits for the next interrupt. Interrupts that came since the last wait count as one.
    pub fn next(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            let Some(irq) = self.irq else { return Poll::Pending };
            let mut wakers = irq.wakers.lock();
            let count = irq.count.load(Ordering::Acquire);
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

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::RefCell;
    use core::pin::pin;
    use core::task::Context;
    use std::sync::Arc;
    use std::vec;

    use super::*;
    use crate::woken::Count;

    fn poll(arrivals: &IrqEvents<'_>, task: &Arc<Count>) -> Poll<()> {
        pin!(arrivals.next()).poll(&mut Context::from_waker(&Waker::from(Arc::clone(task))))
    }

    /// Raises an interrupt of the lines with these numbers; the lines that were taken.
    fn raise<const COUNT: usize>(irqs: &IrqTable<COUNT>, raised: &[u8]) -> Vec<(u8, u32)> {
        let mut ended = Vec::new();
        let taken =
            irqs.take_all(|number| raised.contains(&number), |number, count| ended.push((number, count)));
        assert_eq!(taken, ended.len() as u64);
        ended
    }

    #[test]
    fn only_open_irqs_are_checked() {
        let irqs = IrqTable::<64>::new();
        irqs.take_all(|_| panic!("none is open"), |_, _| ());
        assert!(irqs.open(3) && irqs.open(63) && !irqs.open(3));
        let looked = RefCell::new(vec![]);
        let take = |number| {
            looked.borrow_mut().push(number);
            false
        };
        assert_eq!(irqs.take_all(take, |_, _| panic!("none has raised any")), 0);
        assert_eq!(*looked.borrow(), [3, 63]);
        assert_eq!(raise(&irqs, &[3, 4, 63]), [(3, 1), (63, 1)]);
        assert_eq!(raise(&irqs, &[63]), [(63, 2)]);
    }

    #[test]
    fn an_irq_that_does_not_exist_cannot_be_opened() {
        let irqs = IrqTable::<2>::new();
        assert!(irqs.get(1).is_some() && irqs.get(2).is_none());
        assert!(!irqs.open(2) && !irqs.open(200));
        assert_eq!(raise(&irqs, &[0, 1, 2, 200]), []);
    }

    #[test]
    fn an_irq_that_never_falls_silent_is_taken_once_and_acknowledged_before_tasks_wake() {
        let irqs = IrqTable::<2>::new();
        irqs.open(1);
        let (device, task) = (IrqEvents::new(irqs.get(1)), Arc::new(Count::default()));
        assert!(poll(&device, &task).is_pending());
        let mut ended = 0;
        let end = |_, _| {
            ended += 1;
            assert_eq!(task.get(), 0);
        };
        assert_eq!(irqs.take_all(|_| true, end), 1);
        assert_eq!((ended, task.get()), (1, 1));
    }

    #[test]
    fn each_device_of_a_shared_irq_gets_each_interrupt_once() {
        let irqs = IrqTable::<2>::new();
        irqs.open(1);
        let devices = [(); 2].map(|()| IrqEvents::new(irqs.get(1)));
        let tasks = [(); 2].map(|()| Arc::new(Count::default()));
        for (device, task) in devices.iter().zip(&tasks) {
            assert!(poll(device, task).is_pending() && poll(device, task).is_pending());
        }
        raise(&irqs, &[1]);
        assert_eq!(tasks.each_ref().map(|task| task.get()), [1, 1], "twice asked is once woken");
        for (device, task) in devices.iter().zip(&tasks) {
            assert!(poll(device, task).is_ready());
            assert!(poll(device, task).is_pending());
        }
    }

    #[test]
    fn interrupts_count_while_no_task_waits_but_not_before_the_device_exists() {
        let irqs = IrqTable::<2>::new();
        irqs.open(0);
        let (early, task) = (IrqEvents::new(irqs.get(0)), Arc::new(Count::default()));
        raise(&irqs, &[0]);
        raise(&irqs, &[0]);
        let late = IrqEvents::new(irqs.get(0));
        assert!(poll(&early, &task).is_ready() && poll(&early, &task).is_pending());
        assert!(poll(&late, &task).is_pending());
    }

    #[test]
    fn a_device_without_an_irq_gets_no_interrupts() {
        let task = Arc::new(Count::default());
        assert!(poll(&IrqEvents::new(None), &task).is_pending());
    }
}
