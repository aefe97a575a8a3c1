// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt controllers that lines arrive by, each the [way](prism_boot::lines) that was chosen for it.

use alloc::format;
use alloc::string::{String, ToString};

use log::warn;
use prism_arch::lines::{FIRST_VECTOR, LINES, PIC_LINES};
use prism_boot::firmware::controllers::{Controllers, Input, Polarity, Signal, Trigger};
use prism_boot::lines::{self, Places, Way};
use prism_boot::services::Lines;
use prism_drivers::irq::io_apic::{self, IoApic, Route};
use prism_drivers::irq::pic;
use spin::Mutex;

use super::PLACES;
use crate::irq::apic;
use crate::memory::registers::{self, MappedRegisters};
use crate::ports::CpuPorts;

/// The I/O APICs there are.
pub(crate) type IoApics = io_apic::IoApics<MappedRegisters>;

/// Finds the I/O APICs that firmware tells of, and closes their inputs.
pub(crate) fn find(controllers: &Controllers) -> IoApics {
    let placed = controllers.io_apics.iter().filter_map(|told| {
        let registers = registers::map(told.address, io_apic::LENGTH);
        let apic = registers
            .map_err(|error| error.to_string())
            .and_then(|registers| IoApic::new(registers).ok_or_else(|| "nothing answers".into()));
        let warn = |reason: &String| warn!("the I/O APIC at {:#x} is not used: {reason}", told.address);
        Some((told.first, apic.inspect_err(warn).ok()?))
    });
    placed.collect()
}

/// By what lines arrive.
pub(crate) struct Ways {
    chosen: Lines,
    controllers: Controllers,
    io_apics: IoApics,
    led: Mutex<Places<{ LINES - PIC_LINES }>>,
}

impl Ways {
    /// As it was `chosen`; the local APIC is in use if that has I/O APICs in it.
    pub(crate) fn new(chosen: Lines, controllers: Controllers, io_apics: IoApics) -> Self {
        Self { chosen, controllers, io_apics, led: Mutex::default() }
    }

    /// The place at which interrupts of line `number` arrive from now on; `None` if they cannot. What counts
    /// as a signal is what the line's device tells, else what firmware does.
    pub(super) fn open(&self, number: u32, signal: Option<Signal>) -> Option<usize> {
        match lines::way(self.chosen, &self.controllers, number, signal)? {
            Way::Pic(line) => Some(open_pic(line)),
            Way::IoApic(input) => self.led.lock().of(input.number, |place| self.lead(input, place).is_some()),
        }
    }

    /// What leads to a place, in words.
    pub(super) fn name(&self, place: u8) -> String {
        match self.led.lock().input(place.into()) {
            Some(input) => format!("I/O APIC, input {input}"),
            None => format!("8259, line {place}"),
        }
    }

    /// Leads an input to a place, if there is such an input.
    fn lead(&self, input: Input, place: usize) -> Option<()> {
        let place = u8::try_from(place).ok()?;
        let route = Route {
            vector: place.checked_add(FIRST_VECTOR)?,
            apic_id: u8::try_from(apic::get()?.own_id()).ok()?,
            level: input.signal.trigger == Trigger::Level,
            low: input.signal.polarity == Polarity::Low,
        };
        self.io_apics.lead(input.number, route).then(|| {
            // What came before this is still noted.
            PLACES.open(place);
        })
    }
}

/// Opens a line of the 8259s.
fn open_pic(line: u8) -> usize {
    if PLACES.open(line) {
        if let Some(apic) = apic::get() {
            apic.let_pic_through();
        }
        pic::open(&CpuPorts, line);
    }
    line.into()
}
