// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chooses a method for each service: the best one, with the reasons against better ones.

mod choice;

use core::fmt;

use choice::{Against, Verdict};
pub use choice::{Choice, PassedOver};

use crate::capabilities::{Capabilities, Devices, EntropySources, MachineKind, Randomness, XenCapabilities};
use crate::command_line::IrqChipLimit;

/// Declares a service as a list of methods, best first.
macro_rules! service {
    ($(#[$meta:meta])* $service:ident { $($(#[$way_meta:meta])* $method:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $service {
            $($(#[$way_meta])* $method,)+
        }

        impl $service {
            /// A few words for the boot report.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$method => $name,)+
                }
            }
        }

        impl fmt::Display for $service {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

service! {
    /// The monotonic clock.
    Clock {
        /// Xen's `vcpu_time_info`.
        Xen = "Xen pvclock",
        /// KVM's clock.
        Kvm = "kvmclock",
        /// The TSC, with its frequency from CPUID.
        Tsc = "TSC",
        /// The TSC, measured against the HPET.
        TscByHpet = "TSC measured by the HPET",
        /// The TSC, measured against the PIT.
        TscByPit = "TSC measured by the PIT",
    }
}

service! {
    /// The wall clock.
    WallClock {
        /// The base in Xen's `shared_info`, and Xen's clock.
        Xen = "Xen's shared page",
        /// The base that KVM gives, and KVM's clock.
        Kvm = "KVM",
        /// The RTC as it was at boot, to the second.
        RealTimeClock = "real-time clock",
        /// Nobody tells.
        None = "none",
    }
}

service! {
    /// The timer that ends a sleep.
    Timer {
        /// `VCPUOP_set_singleshot_timer`.
        SingleShot = "single-shot VCPUOP timer",
        /// `set_timer_op`.
        SetTimer = "set_timer_op timer",
        /// The local APIC in TSC-deadline mode.
        TscDeadline = "TSC-deadline timer",
        /// The local APIC in one-shot mode.
        LocalApic = "one-shot APIC timer",
        /// The PIT.
        Pit = "PIT timer",
        /// Nothing: the CPU polls.
        Polling = "no timer, but polling",
    }
}

impl Timer {
    /// Whether it is one of Xen's.
    #[must_use]
    pub const fn is_xens(self) -> bool {
        matches!(self, Self::SingleShot | Self::SetTimer)
    }
}

service! {
    /// How events are delivered.
    Upcall {
        /// The callback that PV guests register.
        Callback = "event channels by PV callback",
        /// An interrupt vector.
        Vector = "event channels by callback vector",
        /// An interrupt vector of each vCPU's local APIC.
        PerCpuVector = "event channels by vCPU vector",
        /// The platform device's interrupt line.
        Intx = "event channels by interrupt line",
        /// Polling.
        Polling = "event channels by polling",
        /// There are none.
        None = "no event channels",
    }
}

service! {
    /// The interrupt controllers that devices' IRQs come through.
    IrqChips {
        /// IRQs below 16 through the 8259s, to which firmware routes PCI's; others through the I/O APICs.
        Both = "8259 and I/O APIC",
        /// The 8259s: there are 16 IRQs.
        Pic = "8259",
        /// The I/O APICs.
        IoApic = "I/O APIC",
        /// Not at all.
        None = "none",
    }
}

service! {
    /// The preferred console.
    Console {
        /// The PV console ring.
        Ring = "PV console",
        /// Xen's own console.
        Xen = "Xen's console",
        /// The 16550 serial port.
        Serial = "16550 serial port",
        /// Port 0xE9.
        DebugPort = "debug port 0xE9",
        /// The screen in text mode.
        Vga = "VGA text",
        /// A virtio console. It comes last, and is used beside any other but Xen's: it may be there for
        /// other purposes, and have no reader.
        Virtio = "virtio console",
        /// Nowhere.
        None = "none",
    }
}

service! {
    /// How disks or networks are reached.
    DeviceBus {
        /// Frontends on xenbus.
        Xenbus = "xenbus",
        /// Virtio on PCI or in memory.
        Virtio = "virtio",
        /// Emulated controllers.
        Emulated = "emulated",
        /// Not at all.
        None = "none",
    }
}

service! {
    /// How the machine is switched off.
    Shutdown {
        /// `SCHEDOP_shutdown`.
        Xen = "SCHEDOP_shutdown",
        /// QEMU's `isa-debug-exit`.
        DebugExit = "isa-debug-exit",
        /// ACPI.
        Acpi = "ACPI",
        /// A reset by the keyboard controller, which is the end of a machine told not to reboot.
        KeyboardController = "keyboard controller reset",
    }
}

service! {
    /// Where random numbers come from. Whatever else there is, is mixed in too.
    Entropy {
        /// RDSEED: random bits.
        Rdseed = "RDSEED + jitter",
        /// RDRAND: the CPU's own generator.
        Rdrand = "RDRAND + jitter",
        /// Nothing but irregularities in how long things take.
        Jitter = "weak: jitter only",
        /// Nothing at all: whoever knows when the guest was started can guess the numbers.
        None = "none: random numbers can be guessed",
    }
}

/// How every service is provided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// The monotonic clock.
    pub clock: Choice<Clock>,
    /// The wall clock.
    pub wall_clock: Choice<WallClock>,
    /// The timer that ends a sleep.
    pub timer: Choice<Timer>,
    /// The interrupt controllers that devices' IRQs come through.
    pub irqchips: Choice<IrqChips>,
    /// How events are delivered.
    pub upcall: Choice<Upcall>,
    /// The preferred console.
    pub console: Choice<Console>,
    /// How disks are reached.
    pub disk: Choice<DeviceBus>,
    /// How networks are reached.
    pub network: Choice<DeviceBus>,
    /// How the machine is switched off.
    pub shutdown: Choice<Shutdown>,
    /// Where random numbers come from.
    pub entropy: Choice<Entropy>,
}

impl Services {
    /// The best method for each service that `found` allows.
    #[must_use]
    pub fn choose(found: &Capabilities) -> Self {
        let upcall = choose_upcall(found);
        let clock = choose_clock(found);
        Self {
            wall_clock: choose_wall_clock(found, clock.chosen),
            clock,
            timer: choose_timer(found, upcall.chosen),
            irqchips: choose_irqchips(found),
            upcall,
            console: choose_console(found),
            disk: choose_disk(found),
            network: choose_network(found),
            shutdown: choose_shutdown(found),
            entropy: choose_entropy(found),
        }
    }
}

impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, wall_clock, timer, irqchips, upcall, console, disk, network, shutdown, entropy } =
            self;
        writeln!(
            f,
            "clock: {clock}\nwall clock: {wall_clock}\ntimer: {timer}\nirqchip: {irqchips}\nupcall: {upcall}\nconsole: {console}"
        )?;
        writeln!(f, "disk: {disk}\nnetwork: {network}\nshutdown: {shutdown}\nentropy: {entropy}")
    }
}

fn choose_clock(found: &Capabilities) -> Choice<Clock> {
    let methods = [
        (Clock::Xen, offered_by_xen(found, |xen| xen.pvclock)),
        (Clock::Kvm, present(found.kvm_clock && !found.is_pv_limited())),
        (
            Clock::Tsc,
            found.tsc_frequency.then_some(()).ok_or(Against::Reason("CPUID does not tell its frequency")),
        ),
        (Clock::TscByHpet, offered(found.platform.hpet)),
    ];
    Choice::best(methods, Clock::TscByPit)
}

/// A base is of use only with the clock that it belongs to.
fn choose_wall_clock(found: &Capabilities, clock: Clock) -> Choice<WallClock> {
    let with = |wanted, verdict: Verdict| if clock == wanted { verdict } else { Err(Against::Kind) };
    let methods = [
        (WallClock::Xen, with(Clock::Xen, offered_by_xen(found, |xen| xen.wall_clock))),
        (WallClock::Kvm, with(Clock::Kvm, offered(found.kvm_wall_clock))),
        (WallClock::RealTimeClock, present(found.platform.real_time_clock)),
    ];
    Choice::best(methods, WallClock::None)
}

/// Xen's timers send events: they are of use only where events reach every vCPU.
fn choose_timer(found: &Capabilities, upcall: Upcall) -> Choice<Timer> {
    let events = match upcall {
        Upcall::Callback | Upcall::Vector | Upcall::PerCpuVector => Ok(()),
        Upcall::Intx => Err(Against::Reason("events reach the first vCPU only")),
        Upcall::Polling => Err(Against::Reason("events do not interrupt")),
        Upcall::None => offered_by_xen(found, |_| false),
    };
    let methods = [
        (Timer::SingleShot, events.and_then(|()| offered_by_xen(found, |xen| xen.single_shot_timer))),
        (Timer::SetTimer, events.and_then(|()| offered_by_xen(found, |xen| xen.set_timer))),
        (Timer::TscDeadline, offered(found.platform.local_apic && found.platform.tsc_deadline)),
        (Timer::LocalApic, offered(found.platform.local_apic)),
        (Timer::Pit, present(found.platform.interval_timer)),
    ];
    Choice::best(methods, Timer::Polling)
}

/// Where there is no platform, there are no lines either, and nothing to say about it.
fn choose_irqchips(found: &Capabilities) -> Choice<IrqChips> {
    if !found.has_emulated_platform() {
        return Choice::best([(IrqChips::Both, Err(Against::Kind))], IrqChips::None);
    }
    let may = |wanted| match found.irqchips.is_none_or(|limit| limit == wanted) {
        true => Ok(()),
        false => Err(Against::Reason("the command line rules it out")),
    };
    let pic = may(IrqChipLimit::Pic).and_then(|()| offered(found.platform.pic));
    let io_apic = may(IrqChipLimit::IoApic).and_then(|()| offered(found.platform.io_apic));
    let both = if pic.is_ok() { io_apic } else { Err(Against::Kind) };
    Choice::best([(IrqChips::Both, both), (IrqChips::Pic, pic), (IrqChips::IoApic, io_apic)], IrqChips::None)
}

fn choose_upcall(found: &Capabilities) -> Choice<Upcall> {
    let is_pv = found.machine == MachineKind::Pv;
    let callback = offered_by_xen(found, |_| true).and_then(|()| is_pv.then_some(()).ok_or(Against::Kind));
    let methods = [
        (Upcall::Callback, callback),
        (Upcall::Vector, offered_by_xen(found, |xen| xen.callback_vector)),
        (Upcall::PerCpuVector, offered_by_xen(found, |xen| xen.upcall_vector)),
        (Upcall::Intx, offered_by_xen(found, |xen| xen.callback_intx)),
        (Upcall::Polling, offered_by_xen(found, |_| true)),
    ];
    Choice::best(methods, Upcall::None)
}

fn choose_console(found: &Capabilities) -> Choice<Console> {
    let methods = [
        (Console::Ring, offered_by_xen(found, |xen| xen.console_ring)),
        (Console::Xen, offered_by_xen(found, |xen| xen.console_io)),
        (Console::Serial, present(found.platform.serial_port)),
        (Console::DebugPort, present(found.platform.debug_port)),
        (Console::Vga, present(found.platform.screen)),
        (Console::Virtio, present(found.platform.virtio_console)),
    ];
    Choice::best(methods, Console::None)
}

fn choose_disk(found: &Capabilities) -> Choice<DeviceBus> {
    let Devices { virtio_block, virtio_scsi, ide, ahci, nvme, storage, .. } = found.devices;
    let reason = "no driver for the disk controller; IDE, AHCI and NVMe have one";
    choose_bus(found, virtio_block | virtio_scsi != 0, driven(ide | ahci | nvme, storage, reason))
}

fn choose_network(found: &Capabilities) -> Choice<DeviceBus> {
    let Devices { e1000, rtl8139, ethernet, .. } = found.devices;
    let reason = "no driver for the NIC; e1000 and rtl8139 have one";
    choose_bus(found, found.devices.virtio_net != 0, driven(e1000 | rtl8139, ethernet, reason))
}

/// Whether there are devices of a kind that are `known`; the reason, if there are `others` only.
fn driven(known: u32, others: u32, reason: &'static str) -> Verdict {
    match (known, others) {
        (0, 0) => Err(Against::Kind),
        (0, _) => Err(Against::Reason(reason)),
        _ => Ok(()),
    }
}

fn choose_bus(found: &Capabilities, virtio: bool, emulated: Verdict) -> Choice<DeviceBus> {
    if found.is_initial_domain() {
        let reason = Against::Reason("the initial domain has no backend");
        return Choice::best([(DeviceBus::Xenbus, Err(reason))], DeviceBus::None);
    }
    let methods = [
        (DeviceBus::Xenbus, offered_by_xen(found, |xen| xen.xenstore)),
        (DeviceBus::Virtio, present(virtio && !found.is_pv_limited())),
        (DeviceBus::Emulated, emulated),
    ];
    Choice::best(methods, DeviceBus::None)
}

fn choose_shutdown(found: &Capabilities) -> Choice<Shutdown> {
    let methods = [
        (Shutdown::Xen, offered_by_xen(found, |_| true)),
        (Shutdown::DebugExit, present(found.platform.debug_exit)),
        (Shutdown::Acpi, present(found.platform.acpi_power_off)),
    ];
    Choice::best(methods, Shutdown::KeyboardController)
}

fn choose_entropy(found: &Capabilities) -> Choice<Entropy> {
    let EntropySources { rdseed, rdrand, jitter } = found.entropy;
    let methods = [
        (Entropy::Rdseed, trusted(rdseed)),
        (Entropy::Rdrand, trusted(rdrand)),
        (Entropy::Jitter, trusted(jitter)),
    ];
    Choice::best(methods, Entropy::None)
}

fn trusted(source: Randomness) -> Verdict {
    Err(Against::Reason(match source {
        Randomness::Good => return Ok(()),
        Randomness::Absent => "the CPU has none",
        Randomness::Refused => "the command line rules it out",
        Randomness::Broken => "it fails or repeats itself",
    }))
}

fn offered_by_xen(found: &Capabilities, offer: impl FnOnce(&XenCapabilities) -> bool) -> Verdict {
    found.paravirtual().map_err(|_| Against::Kind).and_then(|xen| offered(offer(xen)))
}

fn offered(offer: bool) -> Verdict {
    offer.then_some(()).ok_or(Against::Reason("not offered"))
}

fn present(device: bool) -> Verdict {
    device.then_some(()).ok_or(Against::Kind)
}
