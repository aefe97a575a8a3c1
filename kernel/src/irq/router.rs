// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routes IRQs through the interrupt controllers. Which one serves an IRQ is decided by [`prism_boot::irq`].

use alloc::format;
use alloc::string::{String, ToString};

use log::warn;
use prism_arch::irq::{FIRST_VECTOR, IRQS, PIC_IRQS};
use prism_boot::firmware::controllers::{Controllers, Input, Polarity, Signal, Trigger};
use prism_boot::irq::{self, IrqRoute, IrqSlots};
use prism_boot::services::IrqChips;
use prism_drivers::irq::io_apic::{self, IoApic, Route};
use prism_drivers::irq::pic;
use spin::Mutex;

use super::SLOTS;
use crate::irq::apic;
use crate::memory::registers::{self, MappedRegisters};
use crate::ports::CpuPorts;

/// The I/O APICs in use.
pub(crate) type IoApics = io_apic::IoApics<MappedRegisters>;

/// Finds the I/O APICs that firmware lists, and masks their inputs.
pub(crate) fn find(controllers: &Controllers) -> IoApics {
    let placed = controllers.io_apics.iter().filter_map(|told| {
        let registers = registers::map(told.address, io_apic::LENGTH);
        let apic = registers
            .map_err(|error| error.to_string())
            .and_then(|registers| IoApic::new(registers).ok_or_else(|| "nothing answers".into()));
        let warn = |reason: &String| warn!("I/O APIC at {:#x} not used: {reason}", told.address);
        Some((told.first, apic.inspect_err(warn).ok()?))
    });
    placed.collect()
}

/// Leads interrupts from devices to slots, through the interrupt controllers that were chosen.
pub(crate) struct IrqRouter {
    chosen: IrqChips,
    controllers: Controllers,
    io_apics: IoApics,
    routed: Mutex<IrqSlots<{ IRQS - PIC_IRQS }>>,
}

impl IrqRouter {
    /// Routes through the `chosen` controllers. The local APIC is in use if I/O APICs are among them.
    pub(crate) fn new(chosen: IrqChips, controllers: Controllers, io_apics: IoApics) -> Self {
        Self { chosen, controllers, io_apics, routed: Mutex::default() }
    }

    /// Opens IRQ `number` and returns its slot; `None` if it cannot arrive. Trigger and polarity are what
    /// the device tells, else what firmware does.
    pub(super) fn open(&self, number: u32, signal: Option<Signal>) -> Option<usize> {
        match irq::route(self.chosen, &self.controllers, number, signal)? {
            IrqRoute::Pic(line) => Some(open_pic(line)),
            IrqRoute::IoApic(input) => {
                self.routed.lock().of(input.number, |slot| self.route(input, slot).is_some())
            }
        }
    }

    /// The controller's input that leads to a slot, for the log.
    pub(super) fn name(&self, slot: u8) -> String {
        match self.routed.lock().input(slot.into()) {
            Some(input) => format!("I/O APIC, input {input}"),
            None => format!("8259, line {slot}"),
        }
    }

    /// Leads an input of an I/O APIC to a slot, if there is such an input.
    fn route(&self, input: Input, slot: usize) -> Option<()> {
        let slot = u8::try_from(slot).ok()?;
        let route = Route {
            vector: slot.checked_add(FIRST_VECTOR)?,
            apic_id: u8::try_from(apic::get()?.own_id()).ok()?,
            level: input.signal.trigger == Trigger::Level,
            low: input.signal.polarity == Polarity::Low,
        };
        self.io_apics.lead(input.number, route).then(|| {
            // An interrupt that came between the two is still found: its stub has noted it.
            SLOTS.open(slot);
        })
    }
}

/// Opens an IRQ of the 8259s.
fn open_pic(line: u8) -> usize {
    if SLOTS.open(line) {
        if let Some(apic) = apic::get() {
            apic.let_pic_through();
        }
        pic::open(&CpuPorts, line);
    }
    line.into()
}
