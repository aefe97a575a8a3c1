// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stackful coroutines for code that blocks, such as most file systems and databases. The code runs on a
//! stack of its own; while it waits, other tasks run.
//!
//! ```ignore
//! let sum = prism::blocking::run(|| {
//!     let buffer = prism::blocking::wait(disk.read(0, buffer))?;
//!     Ok(checksum(&buffer))
//! })
//! .await?;
//! ```

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicPtr, Ordering};
use core::task::Waker;

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use log::warn;
use prism_arch::machine::Machine;
use prism_arch::vcpu;
use prism_boot::PAGE_SIZE;
use prism_executor::blocking::{self, Body, Pages, Run, Stacks};
use spin::Once;

use crate::memory::{self, Frames};
use crate::task::executor;

/// Usable size of a stack.
const STACK_BYTES: u64 = 256 * 1024;

static MACHINE: Once<&'static dyn Machine> = Once::new();

/// The body that runs on each vCPU now, if any.
static RUNNING: [AtomicPtr<Exit>; vcpu::MOST] = [const { AtomicPtr::new(core::ptr::null_mut()) }; vcpu::MOST];

/// Stacks that are not in use.
static STACKS: Stacks<{ vcpu::MOST }> = Stacks::new();

/// Stores the machine, which unmaps guard pages.
pub(crate) fn init(machine: &'static dyn Machine) {
    MACHINE.call_once(|| machine);
}

/// Runs `body` on a stack of its own of 256 KiB. In `body`, [`wait`] can be called.
///
/// Dropping the future early does not stop `body`, as a stack cannot be unwound here. A task runs `body` to
/// its end and drops the result. A body that waits for ever keeps its stack for ever.
///
/// # Errors
///
/// [`NoStack`] if there is no memory for one.
pub async fn run<T: 'static>(body: impl FnOnce() -> T + 'static) -> Result<T, NoStack> {
    let stack = OwnStack::take().ok_or(NoStack)?;
    let exit = Rc::new(Cell::new(core::ptr::null_mut()));
    let own = Rc::clone(&exit);
    let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<Waker, ()>, waker| {
        let mut place = Exit { yielder, waker: RefCell::new(waker) };
        own.set(&raw mut place);
        swap_running(own.get());
        body()
    });
    Ok(Run::new(OnStack { coroutine, exit }).await)
}

/// Waits for `future` in a body that [`run`] runs. Other tasks run meanwhile.
///
/// # Panics
///
/// If called outside of such a body.
pub fn wait<F: Future>(future: F) -> F::Output {
    let running = RUNNING.get(vcpu::number() as usize).map(|running| running.load(Ordering::Relaxed));
    // SAFETY: set only while the coroutine runs on whose stack it lies, which is the one that calls.
    let exit = running.and_then(|exit| unsafe { exit.as_ref() }).expect("called by what `run` runs");
    // SAFETY: the coroutine's own, alive as long as it runs.
    let yielder = unsafe { &*exit.yielder };
    blocking::wait(future, &exit.waker, || yielder.suspend(()))
}

/// There is no memory for another stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStack;

impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory is left for a stack; give the guest more")
    }
}

impl core::error::Error for NoStack {}

/// How a body leaves its stack. Lies on that stack.
struct Exit {
    yielder: *const Yielder<Waker, ()>,
    waker: RefCell<Waker>,
}

/// Sets what runs on this vCPU, and returns what did.
fn swap_running(exit: *mut Exit) -> *mut Exit {
    match RUNNING.get(vcpu::number() as usize) {
        Some(running) => running.swap(exit, Ordering::Relaxed),
        None => core::ptr::null_mut(),
    }
}

/// A body, and what it leaves its stack by.
struct OnStack<T: 'static> {
    coroutine: Coroutine<Waker, (), T, OwnStack>,
    exit: Rc<Cell<*mut Exit>>,
}

impl<T: 'static> Body for OnStack<T> {
    type Output = T;

    fn resume(&mut self, waker: Waker) -> Option<T> {
        let before = swap_running(self.exit.get());
        let result = self.coroutine.resume(waker);
        swap_running(before);
        match result {
            CoroutineResult::Return(value) => Some(value),
            CoroutineResult::Yield(()) => None,
        }
    }

    fn has_started(&self) -> bool {
        self.coroutine.started()
    }

    fn detach(rest: Run<Self>) {
        if let Err(error) = executor::spawn(async { drop(rest.await) }) {
            warn!("blocking: no task to finish an abandoned body, its stack is leaked: {error}");
        }
    }
}

/// A stack, with a guard page below it. Dropping it returns it to the pool.
struct OwnStack(Option<blocking::Stack>);

impl OwnStack {
    fn take() -> Option<Self> {
        let machine = MACHINE.get()?;
        STACKS.take(vcpu::number(), &Mapped(*machine)).map(|stack| Self(Some(stack)))
    }

    fn start(&self) -> u64 {
        self.0.as_ref().map_or(0, blocking::Stack::start)
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|stack| STACKS.keep(stack));
    }
}

/// The allocator's memory, mapped by the machine.
struct Mapped(&'static dyn Machine);

impl Pages for Mapped {
    fn take(&self) -> Option<u64> {
        memory::alloc_zeroed(PAGE_SIZE + STACK_BYTES)
    }

    fn give_back(&self, start: u64) {
        memory::free(start, PAGE_SIZE + STACK_BYTES);
    }

    fn guard(&self, start: u64) -> bool {
        let unmapped = self.0.unmap_page(start, &mut Frames);
        unmapped
            .inspect_err(|error| warn!("blocking: cannot unmap the guard page of a stack: {error}"))
            .is_ok()
    }

    fn forget(&self) {
        self.0.flush_translations();
    }
}

// SAFETY: the memory was taken from the allocator for good, is page aligned, and is used by one
// coroutine at a time: whoever has the value.
unsafe impl Stack for OwnStack {
    fn base(&self) -> StackPointer {
        pointer(self.start() + PAGE_SIZE + STACK_BYTES)
    }

    fn limit(&self) -> StackPointer {
        pointer(self.start())
    }
}

fn pointer(address: u64) -> StackPointer {
    NonZeroUsize::new(address as usize).unwrap_or(NonZeroUsize::MAX)
}
