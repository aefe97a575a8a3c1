// SPDX-License-Identifier: MIT OR Apache-2.0
//! By which interrupt controllers lines arrive.
//!
//! A line below 16 comes through a PC's 8259s where there are any, as firmware leads PCI's lines
//! there, and only ACPI's methods tell what else they are led to. Any other comes through an I/O APIC.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use log::warn;
use prism_arch::lines::{FIRST_VECTOR, LINES, PIC_LINES};
use prism_boot::controllers::{Controllers, Input, Polarity, Signal, Trigger};
use prism_boot::services::Lines;
use prism_drivers::io_apic::{self, IoApic, Route};
use prism_drivers::pic;
use spin::Mutex;

use super::OPEN;
use crate::apic;
use crate::ports::CpuPorts;
use crate::registers::{self, MappedRegisters};

/// The I/O APICs there are.
#[derive(Default)]
pub(crate) struct IoApics(Vec<Placed>);

/// An I/O APIC, and the number of its first input.
struct Placed {
    first: u32,
    apic: IoApic<MappedRegisters>,
}

/// Finds the I/O APICs that firmware tells of, and closes their inputs.
pub(crate) fn find(controllers: &Controllers) -> IoApics {
    let placed = controllers.io_apics.iter().filter_map(|told| {
        let registers = registers::map(told.address, io_apic::LENGTH);
        let apic = registers
            .map_err(|error| error.to_string())
            .and_then(|registers| IoApic::new(registers).ok_or_else(|| "nothing answers".into()));
        let warn = |reason: &String| warn!("the I/O APIC at {:#x} is not used: {reason}", told.address);
        Some(Placed { first: told.first, apic: apic.inspect_err(warn).ok()? })
    });
    IoApics(placed.collect())
}

impl IoApics {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// By what lines arrive.
pub(crate) struct Ways {
    chosen: Lines,
    controllers: Controllers,
    io_apics: IoApics,
    /// Input number `led[i]` arrives at place `PIC_LINES + i`.
    led: Mutex<Vec<u32>>,
}

impl Ways {
    /// As it was `chosen`; the local APIC is in use if that has I/O APICs in it.
    pub(crate) fn new(chosen: Lines, controllers: Controllers, io_apics: IoApics) -> Self {
        Self { chosen, controllers, io_apics, led: Mutex::default() }
    }

    /// The place at which interrupts of line `number` arrive from now on; `None` if they cannot. What counts
    /// as a signal is what the line's device tells, else what firmware does.
    pub(super) fn open(&self, number: u32, signal: Option<Signal>) -> Option<usize> {
        let (pic, io_apic) = match self.chosen {
            Lines::Both => (true, true),
            Lines::Pic => (true, false),
            Lines::IoApic => (false, true),
            Lines::None => (false, false),
        };
        match u8::try_from(number) {
            Ok(line) if pic && usize::from(line) < PIC_LINES => Some(open_pic(line)),
            _ if io_apic => {
                let told = self.controllers.input(number);
                self.lead(Input { signal: signal.unwrap_or(told.signal), ..told })
            }
            _ => None,
        }
    }

    /// What leads to a place, in words.
    pub(super) fn name(&self, place: u8) -> String {
        let input = usize::from(place).checked_sub(PIC_LINES);
        match input.and_then(|index| self.led.lock().get(index).copied()) {
            Some(input) => format!("I/O APIC, input {input}"),
            None => format!("8259, line {place}"),
        }
    }

    /// Leads an input to a place, unless it is led to one.
    fn lead(&self, input: Input) -> Option<usize> {
        let mut led = self.led.lock();
        if let Some(index) = led.iter().position(|number| *number == input.number) {
            return Some(PIC_LINES + index);
        }
        let place = PIC_LINES + led.len();
        let vector = u8::try_from(place).ok().filter(|_| place < LINES)?.checked_add(FIRST_VECTOR)?;
        let apic_id = u8::try_from(apic::get()?.own_id()).ok()?;
        let route = Route {
            vector,
            apic_id,
            level: input.signal.trigger == Trigger::Level,
            low: input.signal.polarity == Polarity::Low,
        };
        let leads = |Placed { first, apic }: &Placed| {
            input.number.checked_sub(*first).is_some_and(|input| apic.lead(input, route))
        };
        self.io_apics.0.iter().any(leads).then(|| {
            // What came before this is still noted.
            OPEN.fetch_or(1 << place, Ordering::Relaxed);
            led.push(input.number);
            place
        })
    }
}

/// Opens a line of the 8259s.
fn open_pic(line: u8) -> usize {
    if OPEN.fetch_or(1 << line, Ordering::Relaxed) & 1 << line == 0 {
        if let Some(apic) = apic::get() {
            apic.let_pic_through();
        }
        pic::open(&CpuPorts, line);
    }
    line.into()
}
