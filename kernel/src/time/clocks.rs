// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the clocks that there are, and starts the chosen ones.

use core::mem::offset_of;
use core::time::Duration;

use log::warn;
use prism_arch::{cpu, cpuid, kvm, vcpu};
use prism_boot::Capabilities;
use prism_boot::services::{Clock as Way, Services, WallClock as WallWay};
use prism_drivers::timer::{hpet, pit};
use spin::Once;
use xen::shared::Shared;
use xen::time::{Clock, WallClock};
use xen_sys::xen::{shared_info, vcpu_info};

use crate::memory::registers::MappedRegisters;
use crate::ports::CpuPorts;
use crate::time::{self, Source, Wall};

/// Where the CPUID leaves of KVM begin, if its clock is the one in use.
static KVM: Once<u32> = Once::new();

/// Has the calling vCPU, which is not the boot vCPU, use its own clock.
pub(crate) fn init_vcpu() {
    if let Some(clock) = KVM.get().and_then(|base| kvm::clock(*base)) {
        time::add_vcpu(vcpu::number(), Clock::new(clock));
    }
    time::join_vcpu();
}

/// The clocks that exist.
pub(crate) struct Clocks {
    xen: Option<Clock>,
    /// And where KVM's CPUID leaves begin.
    kvm: Option<(u32, Clock)>,
    xen_wall: Option<WallClock>,
    kvm_wall: Option<WallClock>,
    /// Time since 1970 by the PC's RTC, if there is no better wall clock.
    rtc: Option<Duration>,
}

impl Clocks {
    /// Finds the clocks in Xen's shared page, and those of the KVM whose CPUID leaves begin at `kvm`. A clock
    /// that shows no time counts as missing. `rtc` reads the RTC; it is called only where no better wall
    /// clock exists, as each access is an exit.
    pub(crate) fn find(
        page: Option<Shared<shared_info>>,
        kvm: Option<u32>,
        rtc: impl FnOnce() -> Option<u64>,
    ) -> Self {
        let ticking = |clock: &Clock| clock.nanoseconds(cpu::timestamp).is_some();
        let set = |clock: &WallClock| clock.at_zero().is_some();
        let xen_wall = page.and_then(WallClock::of_xen).filter(set);
        let kvm_wall = kvm.and_then(kvm::wall_clock).and_then(WallClock::of_kvm).filter(set);
        let has_wall = xen_wall.is_some() || kvm_wall.is_some();
        Self {
            xen: page.and_then(of_boot_vcpu).filter(ticking),
            kvm: kvm.and_then(|base| Some((base, kvm::clock(base).map(Clock::new).filter(ticking)?))),
            xen_wall,
            kvm_wall,
            rtc: if has_wall { None } else { rtc().map(Duration::from_secs) },
        }
    }

    /// Records the clocks in `capabilities`.
    pub(crate) fn note_in(&self, capabilities: &mut Capabilities) {
        if let Some(xen) = &mut capabilities.xen {
            xen.pvclock = self.xen.is_some();
            xen.wall_clock = self.xen_wall.is_some();
        }
        capabilities.kvm_clock = self.kvm.is_some();
        capabilities.kvm_wall_clock = self.kvm_wall.is_some();
        capabilities.platform.real_time_clock = self.rtc.is_some();
    }

    /// Starts the chosen clocks. The last resort is a time-stamp counter of unknown frequency, taken for 1
    /// GHz: good enough for time limits.
    pub(crate) fn start(&self, services: &Services, hpet: Option<&MappedRegisters>) {
        let counter = |khz: Option<u64>| {
            if khz.is_none() {
                warn!("frequency of the time-stamp counter unknown: assuming 1 GHz");
            }
            Source::Timestamp { khz: khz.unwrap_or(1_000_000) }
        };
        time::set_source(match (services.clock.chosen, self.xen, self.kvm) {
            (Way::Xen, Some(clock), _) => Source::Paravirtual(clock),
            (Way::Kvm, _, Some((base, clock))) => {
                KVM.call_once(|| base);
                Source::Paravirtual(clock)
            }
            (Way::Tsc, ..) => counter(cpuid::timestamp_khz()),
            _ => counter(
                hpet.and_then(|hpet| hpet::measure_khz(hpet, cpu::timestamp))
                    .or_else(|| pit::measure_khz(&CpuPorts, cpu::timestamp)),
            ),
        });
        let wall = match services.wall_clock.chosen {
            WallWay::Xen => self.xen_wall.map(Wall::Paravirtual),
            WallWay::Kvm => self.kvm_wall.map(Wall::Paravirtual),
            WallWay::RealTimeClock => self.rtc.map(Wall::AtStart),
            WallWay::None => None,
        };
        wall.into_iter().for_each(time::set_wall_clock);
    }
}

/// The clock of vCPU 0.
fn of_boot_vcpu(page: Shared<shared_info>) -> Option<Clock> {
    let offset = offset_of!(shared_info, vcpu_info) + offset_of!(vcpu_info, time);
    page.field(offset).map(Clock::new)
}
