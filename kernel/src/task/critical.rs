// SPDX-License-Identifier: MIT OR Apache-2.0
//! Critical sections, as the ecosystem's crates ask for them: one vCPU at a time is in one.
//!
//! Nothing interrupts a vCPU here: events and interrupts are off but while it sleeps. So there is only
//! the other vCPUs to keep out.

use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use xen::sched;

/// The vCPU that is in a critical section, counted from 1; 0 if none is.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// Looks at a section that another vCPU is in before Xen is told that we wait: sections are a few
/// instructions, but their vCPU may have to wait for a CPU.
const LOOKS: u32 = 1000;

struct OneVcpu;

critical_section::set_impl!(OneVcpu);

// SAFETY: between `acquire` and the `release` that belongs to it `INSIDE` holds this vCPU's number, which
// keeps the others waiting; the vCPU itself is not interrupted.
unsafe impl critical_section::Impl for OneVcpu {
    /// Returns whether the vCPU was in a section before.
    unsafe fn acquire() -> bool {
        let own = vcpu::number() + 1;
        if INSIDE.load(Ordering::Relaxed) == own {
            return true;
        }
        let mut looks = 0;
        while INSIDE.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed).is_err() {
            looks += 1;
            if looks % LOOKS == 0 {
                // Where there is no Xen this does nothing.
                let _ = sched::yield_now(&Hypervisor);
            }
            cpu::relax();
        }
        false
    }

    unsafe fn release(was_inside: bool) {
        if !was_inside {
            INSIDE.store(0, Ordering::Release);
        }
    }
}
