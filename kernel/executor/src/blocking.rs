// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code that blocks, run like a task: which stack it runs on, and what becomes of it when its future is
//! dropped.
//!
//! A stack cannot be unwound here, so a body that has started runs to its end.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use prism_boot::translations::{Epoch, Translations};
use spin::Mutex;

/// A body: code that runs on a stack of its own.
pub trait Body: Unpin + Sized {
    /// What it returns.
    type Output;

    /// Resumes it until it waits or ends. `waker` is for its wait. Returns its result if it has ended.
    fn resume(&mut self, waker: Waker) -> Option<Self::Output>;

    /// Whether it has started: then there is something on its stack.
    fn has_started(&self) -> bool;

    /// Spawns a task that runs `rest` to its end, as its future was dropped. Drops `rest` if there is no
    /// memory for a task.
    fn detach(rest: Run<Self>);
}

/// The future of a body.
#[derive(Debug)]
pub struct Run<B: Body> {
    body: Option<B>,
    /// Nobody waits for it any more.
    detached: bool,
}

impl<B: Body> Run<B> {
    /// One that has not started.
    pub const fn new(body: B) -> Self {
        Self { body: Some(body), detached: false }
    }
}

impl<B: Body> Future for Run<B> {
    type Output = B::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<B::Output> {
        match self.body.as_mut().and_then(|body| body.resume(context.waker().clone())) {
            Some(output) => {
                self.body = None;
                Poll::Ready(output)
            }
            None => Poll::Pending,
        }
    }
}

impl<B: Body> Drop for Run<B> {
    fn drop(&mut self) {
        let Some(body) = self.body.take_if(|body| body.has_started()) else { return };
        if self.detached {
            // There was no room for a task. What is on the stack may be in use elsewhere: it stays.
            return core::mem::forget(body);
        }
        B::detach(Self { body: Some(body), detached: true });
    }
}

/// Waits for `future` in a body: calls `leave` to suspend the body, which returns after it is resumed.
/// `waker` holds the waker of the last resumption.
pub fn wait<F: Future>(future: F, waker: &RefCell<Waker>, mut leave: impl FnMut() -> Waker) -> F::Output {
    let mut future = pin!(future);
    loop {
        let current = waker.borrow().clone();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&current)) {
            return output;
        }
        // Whoever never comes back does not keep it.
        drop(current);
        waker.replace(leave());
    }
}

/// Memory for stacks.
pub trait Pages {
    /// Allocates memory for a stack and its guard page, and returns its address.
    fn take(&self) -> Option<u64>;

    /// Frees memory that was just allocated.
    fn give_back(&self, start: u64);

    /// Unmaps the guard page on the calling vCPU. Returns whether that worked.
    fn guard(&self, start: u64) -> bool;

    /// Flushes the TLB of the calling vCPU.
    fn forget(&self);
}

/// Free stacks, and which of `VCPUS` vCPUs may still have translations of their guard pages, as vCPUs share
/// stacks. Stacks are never freed, as their guard pages stay unmapped.
#[derive(Debug)]
pub struct Stacks<const VCPUS: usize> {
    free: Mutex<Vec<Stack>>,
    guards: Translations<VCPUS>,
}

/// A stack with a guard page below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stack {
    start: u64,
    /// When that page was unmapped.
    guarded: Epoch,
}

impl Stack {
    /// The address of the page below it.
    pub const fn start(&self) -> u64 {
        self.start
    }
}

impl<const VCPUS: usize> Default for Stacks<VCPUS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const VCPUS: usize> Stacks<VCPUS> {
    /// No stacks yet.
    pub const fn new() -> Self {
        Self { free: Mutex::new(Vec::new()), guards: Translations::new() }
    }

    /// A stack for the calling vCPU `vcpu`: the one used last, or a new one out of `pages`. `None` if there
    /// is no memory or no guard page.
    pub fn take(&self, vcpu: u32, pages: &impl Pages) -> Option<Stack> {
        let free = self.free.lock().pop();
        if let Some(stack) = free {
            if self.guards.must_flush(vcpu, stack.guarded) {
                pages.forget();
            }
            return Some(stack);
        }
        let start = pages.take()?;
        // A stack without a guard would end in somebody else's memory: rather none.
        if !pages.guard(start) {
            pages.give_back(start);
            return None;
        }
        Some(Stack { start, guarded: self.guards.unmapped(vcpu) })
    }

    /// Returns a stack that is no longer used.
    pub fn keep(&self, stack: Stack) {
        self.free.lock().push(stack);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::task::Wake;
    use std::vec;

    use super::*;

    /// What has become of a body, and of what it left behind.
    #[derive(Default)]
    struct Fate {
        resumed: Cell<u32>,
        dropped: Cell<bool>,
        detached: RefCell<Option<Run<Script>>>,
        has_room: Cell<bool>,
    }

    /// A body that waits so often, and then returns 7.
    struct Script {
        waits: u32,
        fate: Rc<Fate>,
    }

    impl Drop for Script {
        fn drop(&mut self) {
            self.fate.dropped.set(true);
        }
    }

    impl Body for Script {
        type Output = u32;

        fn resume(&mut self, _waker: Waker) -> Option<u32> {
            self.fate.resumed.set(self.fate.resumed.get() + 1);
            (self.fate.resumed.get() > self.waits).then_some(7)
        }

        fn has_started(&self) -> bool {
            self.fate.resumed.get() != 0
        }

        fn detach(rest: Run<Self>) {
            let fate = Rc::clone(&rest.body.as_ref().expect("it has not ended").fate);
            if fate.has_room.get() {
                fate.detached.replace(Some(rest));
            }
        }
    }

    fn script(waits: u32, has_room: bool) -> (Run<Script>, Rc<Fate>) {
        let fate = Rc::new(Fate { has_room: Cell::new(has_room), ..Fate::default() });
        (Run::new(Script { waits, fate: Rc::clone(&fate) }), fate)
    }

    fn poll<B: Body>(run: &mut Run<B>) -> Poll<B::Output> {
        Pin::new(run).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_body_goes_on_at_each_poll_and_leaves_its_stack_when_it_has_ended() {
        let (mut run, fate) = script(2, true);
        assert!(poll(&mut run).is_pending() && poll(&mut run).is_pending());
        assert!(!fate.dropped.get());
        assert_eq!(poll(&mut run), Poll::Ready(7));
        assert!(fate.dropped.get());
        assert!(poll(&mut run).is_pending(), "there is nothing left to go on");
        assert_eq!(fate.resumed.get(), 3);
        drop(run);
        assert!(fate.detached.borrow().is_none());
    }

    #[test]
    fn a_body_dropped_before_its_start_never_runs() {
        let (run, fate) = script(2, true);
        drop(run);
        assert!(fate.dropped.get() && fate.detached.borrow().is_none());
        assert_eq!(fate.resumed.get(), 0);
    }

    #[test]
    fn a_body_dropped_midway_runs_to_its_end() {
        let (mut run, fate) = script(2, true);
        assert!(poll(&mut run).is_pending());
        drop(run);
        assert!(!fate.dropped.get());
        let mut rest = fate.detached.take().expect("it goes on");
        assert!(poll(&mut rest).is_pending());
        assert_eq!(poll(&mut rest), Poll::Ready(7));
        assert!(fate.dropped.get());
    }

    #[test]
    fn a_dropped_body_that_cannot_be_detached_keeps_its_stack() {
        let (mut run, fate) = script(2, false);
        assert!(poll(&mut run).is_pending());
        drop(run);
        assert!(!fate.dropped.get());
        assert_eq!(fate.resumed.get(), 1);
    }

    struct Named;

    impl Wake for Named {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_wait_polls_with_the_waker_of_the_latest_poll_and_keeps_none() {
        let wakers = [(); 3].map(|()| Arc::new(Named));
        let waker = |index: usize| Waker::from(Arc::clone(&wakers[index]));
        let (current, left) = (RefCell::new(waker(0)), Cell::new(0));
        let seen = RefCell::new(vec![]);
        let future = core::future::poll_fn(|context| {
            let index = (0..3).find(|index| waker(*index).will_wake(context.waker()));
            seen.borrow_mut().push(index);
            if index == Some(2) { Poll::Ready(5) } else { Poll::Pending }
        });
        let leave = || {
            let before = left.replace(left.get() + 1);
            assert_eq!(Arc::strong_count(&wakers[before]), 2, "but the one to be replaced");
            waker(left.get())
        };
        assert_eq!(wait(future, &current, leave), 5);
        assert_eq!(*seen.borrow(), [Some(0), Some(1), Some(2)]);
        assert!(current.borrow().will_wake(&waker(2)), "it is there for the next wait");
    }

    #[test]
    fn a_ready_future_is_not_waited_for() {
        let waker = RefCell::new(Waker::noop().clone());
        assert_eq!(wait(async { 5 }, &waker, || panic!("there is no need to leave")), 5);
    }

    /// Memory that begins at 0x10000, a stack each.
    struct Memory {
        left: Cell<u64>,
        can_guard: Cell<bool>,
        flushed: Cell<u32>,
    }

    impl Memory {
        fn of(stacks: u64) -> Self {
            Self { left: Cell::new(stacks), can_guard: Cell::new(true), flushed: Cell::new(0) }
        }
    }

    impl Pages for Memory {
        fn take(&self) -> Option<u64> {
            let left = self.left.get().checked_sub(1)?;
            self.left.set(left);
            Some(0x10000 * (left + 1))
        }

        fn give_back(&self, start: u64) {
            assert_eq!(start, 0x10000 * (self.left.get() + 1));
            self.left.set(self.left.get() + 1);
        }

        fn guard(&self, _start: u64) -> bool {
            self.can_guard.get()
        }

        fn forget(&self) {
            self.flushed.set(self.flushed.get() + 1);
        }
    }

    #[test]
    fn each_body_has_a_stack_of_its_own_and_the_last_one_is_used_again() {
        let (stacks, memory) = (Stacks::<2>::new(), Memory::of(2));
        let [first, second] = [(); 2].map(|()| stacks.take(0, &memory).expect("there is memory"));
        assert_eq!((first.start(), second.start()), (0x20000, 0x10000));
        assert_eq!(stacks.take(0, &memory), None);
        stacks.keep(first);
        stacks.keep(second);
        assert_eq!(stacks.take(0, &memory).map(|stack| stack.start()), Some(0x10000));
        assert_eq!(stacks.take(0, &memory).map(|stack| stack.start()), Some(0x20000));
        assert_eq!((stacks.take(0, &memory), memory.flushed.get()), (None, 0));
    }

    #[test]
    fn a_stack_without_a_guard_is_none_and_its_memory_is_given_back() {
        let (stacks, memory) = (Stacks::<2>::new(), Memory::of(1));
        memory.can_guard.set(false);
        assert_eq!((stacks.take(0, &memory), memory.left.get()), (None, 1));
        memory.can_guard.set(true);
        assert!(stacks.take(0, &memory).is_some());
    }

    #[test]
    fn a_vcpu_flushes_before_it_runs_on_a_stack_that_another_one_guarded() {
        let (stacks, memory) = (Stacks::<3>::new(), Memory::of(1));
        let again = |vcpu| {
            stacks.keep(stacks.take(vcpu, &memory).expect("there is one"));
            memory.flushed.take()
        };
        assert_eq!([0, 0, 1, 1, 2, 0].map(again), [0, 0, 1, 0, 1, 0]);
    }
}
