// SPDX-License-Identifier: MIT OR Apache-2.0
//! Critical sections, as the ecosystem's crates ask for them.
//!
//! Nothing interrupts a vCPU here: events and interrupts are off but while it sleeps. With one vCPU
//! running there is nothing to exclude.

struct Uninterrupted;

critical_section::set_impl!(Uninterrupted);

// SAFETY: one vCPU runs, and nothing interrupts it: every section runs alone.
unsafe impl critical_section::Impl for Uninterrupted {
    unsafe fn acquire() -> bool {
        false
    }

    unsafe fn release(_: bool) {}
}
