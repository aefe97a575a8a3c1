// SPDX-License-Identifier: MIT OR Apache-2.0
//! The implementation of the `critical-section` crate: one vCPU at a time is in a critical section.
//!
//! A vCPU runs with events and interrupts off except while it sleeps. So only other vCPUs have to be kept
//! out.

use core::sync::atomic::{AtomicU32, Ordering};

use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use xen::sched;

/// The vCPU that is in a critical section, counted from 1; 0 if none is.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Spins before the vCPU yields to Xen. Sections take a few instructions, but the vCPU that holds one may be
/// preempted.
const SPINS: u32 = 1000;

struct OneVcpu;

critical_section::set_impl!(OneVcpu);

// SAFETY: between `acquire` and the `release` that belongs to it `OWNER` holds this vCPU's number, which
// keeps the others waiting; the vCPU itself is not interrupted.
unsafe impl critical_section::Impl for OneVcpu {
    /// Returns whether the vCPU was in a section before.
    unsafe fn acquire() -> bool {
        let own = vcpu::number() + 1;
        if OWNER.load(Ordering::Relaxed) == own {
            return true;
        }
        let mut spins = 0;
        while OWNER.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spins += 1;
            if spins % SPINS == 0 {
                // Where there is no Xen this does nothing.
                let _ = sched::yield_now(&Hypervisor);
            }
            cpu::relax();
        }
        false
    }

    unsafe fn release(was_inside: bool) {
        if !was_inside {
            OWNER.store(0, Ordering::Release);
        }
    }
}
