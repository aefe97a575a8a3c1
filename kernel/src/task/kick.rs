// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kicking a vCPU: ending its sleep from another vCPU.

use prism_arch::apic::WAKE_VECTOR;
use prism_arch::vcpu;

use crate::hypervisor::event::EventChannel;
use crate::irq::apic;

/// How to kick one vCPU.
pub(crate) enum VcpuKick {
    /// An event channel to the vCPU.
    Events(EventChannel),
    /// An interrupt of the local APIC with this number.
    Interrupt(u32),
}

impl VcpuKick {
    /// Kicks the calling vCPU, which takes events if `events` is set.
    ///
    /// # Errors
    ///
    /// What Xen answers; `ENODEV` if there is neither an event channel nor a local APIC.
    pub(crate) fn new(events: bool) -> xen::error::Result<Self> {
        if events {
            return EventChannel::to_self(vcpu::number()).map(Self::Events);
        }
        apic::get().map(|apic| Self::Interrupt(apic.own_id())).ok_or(xen::Errno::NODEV)
    }

    /// Ends the vCPU's sleep, or keeps it from falling asleep.
    pub(crate) fn send(&self) {
        match self {
            // Cannot fail: the channel is ours, and open.
            Self::Events(channel) => drop(channel.notify()),
            Self::Interrupt(id) => {
                if let Some(apic) = apic::get() {
                    // Cannot fail either: the number is one that an APIC gave itself.
                    let _ = apic.send(*id, WAKE_VECTOR);
                }
            }
        }
    }

    /// Arms it for the next sleep. Only for the vCPU that it kicks.
    pub(crate) fn arm(&self) {
        if let Self::Events(channel) = self {
            channel.take_and_unmask();
        }
    }
}
