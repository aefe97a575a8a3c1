// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending the domain: poweroff, reboot, crash.

use core::sync::atomic::{AtomicU8, Ordering};

use prism_arch::cpu;
use prism_arch::hypercall::Hypervisor;
use prism_boot::Acpi;
use prism_boot::firmware::acpi::{PowerOff, Reset};
use prism_drivers::hal::Ports;
use prism_drivers::power;
use spin::Once;
use xen::sched::{self, Shutdown};

use crate::console;
use crate::ports::CpuPorts;

/// Exit status of a run that ended without a verdict.
const CRASH_STATUS: u8 = 6;

/// Bit 0: by hypercall. Bit 1: by I/O ports.
static METHODS: AtomicU8 = AtomicU8::new(0);
const XEN: u8 = 1;
const PORTS: u8 = 2;

/// Sets the methods that exist here.
pub(crate) fn set_shutdown_methods(xen: bool, ports: bool) {
    let bit = |there: bool, bit: u8| if there { bit } else { 0 };
    METHODS.store(bit(xen, XEN) | bit(ports, PORTS), Ordering::Release);
}

/// ACPI's registers for poweroff and reset.
static ACPI: Once<(Option<PowerOff>, Option<Reset>)> = Once::new();

/// Uses ACPI's registers for poweroff and reset.
pub(crate) fn use_acpi(acpi: &Acpi) {
    ACPI.call_once(|| (acpi.power_off, acpi.reset));
}

/// Powers off. A debugging QEMU gets `status` as its exit status.
pub(crate) fn off_with(status: u8) -> ! {
    finish_console();
    end(Shutdown::Poweroff, |ports| {
        power::debug_exit(ports, status);
        if let Some((Some(how), _)) = ACPI.get() {
            soft_off(ports, how);
        }
        power::soft_off(ports);
    })
}

/// Flushes the console. If another vCPU is ending the domain, stops this one.
fn finish_console() {
    if !console::drain() {
        cpu::stop();
    }
}

/// Powers off.
pub fn off() -> ! {
    off_with(0)
}

/// Reboots.
pub fn reboot() -> ! {
    finish_console();
    end(Shutdown::Reboot, |_| ())
}

/// Ends after a crash: reports it to Xen, and resets other machines.
pub(crate) fn crash() -> ! {
    console::drain();
    end(Shutdown::Crash, |ports| power::debug_exit(ports, CRASH_STATUS))
}

fn soft_off(ports: &CpuPorts, how: &PowerOff) {
    if let Some(command) = how.hand_over {
        power::take_over(ports, how.control_a, command);
    }
    power::sleep(ports, how.control_a, how.type_a);
    if let Some(control_b) = how.control_b {
        power::sleep(ports, control_b, how.type_b);
    }
}

/// Ends by hypercall, else by `by_ports`, a reset or a triple fault, in this order.
fn end(reason: Shutdown, by_ports: impl FnOnce(&CpuPorts)) -> ! {
    let methods = METHODS.load(Ordering::Acquire);
    if methods & XEN != 0 {
        let _ = sched::shutdown(&Hypervisor, reason);
    }
    if methods & PORTS != 0 {
        by_ports(&CpuPorts);
        if let Some((_, Some(Reset { port, value }))) = ACPI.get() {
            CpuPorts.write_u8(*port, *value);
        }
        power::reset(&CpuPorts);
        cpu::triple_fault();
    }
    // A PV domain that Xen refuses to end has no other method.
    loop {
        let _ = sched::yield_now(&Hypervisor);
    }
}
