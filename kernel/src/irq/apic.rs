// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC, where it is used.

use prism_arch::apic::{Apic, SPURIOUS_VECTOR};
use prism_arch::machine::Machine;
use prism_drivers::irq::local_apic::{LocalApic, Registers};
use spin::Once;

use crate::memory::Frames;

/// The registers of the calling CPU's local APIC.
#[derive(Debug)]
pub(crate) struct CpuRegisters(Apic);

impl Registers for CpuRegisters {
    fn read(&self, offset: u16) -> u32 {
        self.0.read(offset)
    }
    fn write(&self, offset: u16, value: u32) {
        self.0.write(offset, value);
    }
    fn id(&self) -> u32 {
        self.0.id()
    }
    fn command(&self, destination: u32, command: u32) -> bool {
        self.0.command(destination, command)
    }
    fn write_deadline(&self, timestamp: u64) {
        self.0.write_deadline(timestamp);
    }
}

static APIC: Once<LocalApic<CpuRegisters>> = Once::new();

/// Finds the local APIC, and enables that of the calling CPU. Only where CPUID shows one, and not in PV
/// domains.
pub(crate) fn init(machine: &dyn Machine) {
    match Apic::find(machine, &mut Frames) {
        Ok(apic) => {
            APIC.call_once(|| LocalApic::new(CpuRegisters(apic)));
            enable_here();
        }
        Err(error) => log::warn!("local APIC not used: {error}"),
    }
}

/// The local APIC of the calling CPU, where it is used.
pub(crate) fn get() -> Option<&'static LocalApic<CpuRegisters>> {
    APIC.get()
}

/// Enables the local APIC of the calling CPU, where it is used.
pub(crate) fn enable_here() {
    if let Some(apic) = get() {
        apic.registers().0.switch_on();
        apic.enable(SPURIOUS_VECTOR);
    }
}
