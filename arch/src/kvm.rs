// SPDX-License-Identifier: MIT OR Apache-2.0
//! KVM's clocks: the same structures as Xen's, at places that the guest chooses
//! (Linux `Documentation/virt/kvm/x86/msr.rst`, `MSR_KVM_SYSTEM_TIME_NEW`, `MSR_KVM_WALL_CLOCK_NEW`).

use core::cell::UnsafeCell;

use x86_64::registers::model_specific::Msr;
use xen::shared::Shared;
use xen_sys::xen::vcpu_time_info;

use crate::{cpuid, vcpu};

const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
/// Bit 0 of the address: switch the clock on.
const ENABLE: u64 = 1;

/// Where KVM writes the clock of a CPU. Aligned so that it does not cross a page.
#[repr(C, align(64))]
struct TimePage(UnsafeCell<[u8; 64]>);

// SAFETY: only its address is used here; all access is through `Shared`.
unsafe impl Sync for TimePage {}

/// Where KVM writes when it was that the clock showed zero.
struct WallPage(UnsafeCell<[u32; 3]>);

// SAFETY: only its address is used here; all access is through `Shared`.
unsafe impl Sync for WallPage {}

static WALL: WallPage = WallPage(UnsafeCell::new([0; 3]));

/// A place for each CPU: what is in one holds for the time-stamp counter of that CPU.
static TIMES: [TimePage; vcpu::MOST] = [const { TimePage(UnsafeCell::new([0; 64])) }; vcpu::MOST];

/// Switches on KVM's clock of the vCPU that calls, whose CPUID leaves begin at `base`; `None` if this KVM has
/// none.
pub fn clock(base: u32) -> Option<Shared<vcpu_time_info>> {
    if !cpuid::kvm_has_clock(base) {
        return None;
    }
    let address = TIMES.get(vcpu::number() as usize)?.0.get().expose_provenance() as u64;
    // SAFETY: the memory is set aside for this, and lies at its own physical address.
    unsafe { Msr::new(SYSTEM_TIME).write(address | ENABLE) };
    // SAFETY: aligned, always mapped, and never used otherwise.
    Some(unsafe { Shared::at(address) })
}

/// Has KVM, whose CPUID leaves begin at `base`, write when it was that its clock showed zero: version,
/// seconds and nanoseconds. `None` if this KVM has no clock.
pub fn wall_clock(base: u32) -> Option<Shared<[u32; 3]>> {
    if !cpuid::kvm_has_clock(base) {
        return None;
    }
    let address = WALL.0.get().expose_provenance() as u64;
    // SAFETY: the memory is set aside for this, and lies at its own physical address.
    unsafe { Msr::new(WALL_CLOCK).write(address) };
    // SAFETY: aligned, always mapped, and never used otherwise.
    Some(unsafe { Shared::at(address) })
}
