// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed table: where the registers are that switch the machine off and reset it (section 5.2.9).

use super::table::Table;
use super::{Acpi, sleep, virtio};
use crate::{Notes, PhysMemory};

/// How the machine is switched off: by writing a sleep type to one or two control registers
/// (section 4.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerOff {
    /// I/O port of the first control register.
    pub control_a: u16,
    /// The sleep type that goes there.
    pub type_a: u8,
    /// I/O port of the second control register, if there is one.
    pub control_b: Option<u16>,
    /// The sleep type that goes there.
    pub type_b: u8,
    /// The I/O port and the command by which the firmware hands these registers over, if it has to.
    pub hand_over: Option<(u16, u8)>,
}

/// How the machine is reset: by writing a byte to an I/O port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The port.
    pub port: u16,
    /// What is written.
    pub value: u8,
}

/// The power button of the fixed hardware (section 4.8.2.2.1): a bit each in two event registers. The second
/// block of them, of chipsets in two parts, is not looked at: no hypervisor emulates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerButton {
    /// I/O port of the event register with the status.
    pub status: u16,
    /// I/O port of the one that enables events.
    pub enable: u16,
    /// The number of the system control interrupt.
    pub irq: u16,
    /// I/O port of the first control register, which tells whose all of them are.
    pub control: u16,
    /// The I/O port and the command by which the firmware hands these registers over, if it has to.
    pub hand_over: Option<(u16, u8)>,
}

/// Offsets in the table.
const DSDT: u32 = 40;
const SCI: u32 = 46;
const SMI_COMMAND: u32 = 48;
const EVENTS_A: u32 = 56;
const CONTROL_A: u32 = 64;
const CONTROL_B: u32 = 68;
const EVENTS_LENGTH: u32 = 88;
const CENTURY: u32 = 108;
const FLAGS: u32 = 112;
const RESET: u32 = 116;
const DSDT_64: u32 = 140;
const EVENTS_A_64: u32 = 148;
const CONTROL_A_64: u32 = 172;
const CONTROL_B_64: u32 = 184;

/// The power button is not that of the fixed hardware.
const NO_FIXED_BUTTON: u32 = 1 << 4;
/// There is a reset register.
const CAN_RESET: u32 = 1 << 10;
/// There are no such control registers.
const HARDWARE_REDUCED: u32 = 1 << 20;

impl Acpi {
    /// Reads the fixed table, and the table of definitions that it leads to.
    pub(super) fn read_fixed<M: PhysMemory>(&mut self, table: &Table<'_, M>, notes: &mut Notes) {
        let flags = number(table, FLAGS);
        self.century_register = table.record::<1>(CENTURY).map(|byte| byte.u8(0)).filter(|byte| *byte != 0);
        if flags & CAN_RESET != 0 {
            let value = table.record::<1>(RESET.saturating_add(12)).map_or(0, |byte| byte.u8(0));
            self.reset = generic_port(table, RESET).map(|port| Reset { port, value });
        }
        if flags & (HARDWARE_REDUCED | NO_FIXED_BUTTON) == 0 {
            self.power_button = power_button(table);
        }
        let Some(definitions) = definitions(table, notes) else { return };
        self.virtio = virtio::slots(&definitions);
        if flags & HARDWARE_REDUCED == 0 {
            self.power_off = power_off(table, &definitions);
        }
    }
}

/// The table of definitions, if there is one.
fn definitions<'a, M: PhysMemory>(table: &Table<'a, M>, notes: &mut Notes) -> Option<Table<'a, M>> {
    let long = table.record::<8>(DSDT_64).map_or(0, |address| address.u64(0));
    let short = u64::from(number(table, DSDT));
    let address = if long == 0 { short } else { long };
    if address == 0 { None } else { table.sibling(address, notes) }
}

fn power_off<M: PhysMemory>(table: &Table<'_, M>, definitions: &Table<'_, M>) -> Option<PowerOff> {
    let control_a = generic_port(table, CONTROL_A_64).or_else(|| port(number(table, CONTROL_A)))?;
    let control_b = generic_port(table, CONTROL_B_64).or_else(|| port(number(table, CONTROL_B)));
    let (type_a, type_b) = sleep::soft_off_types(definitions)?;
    Some(PowerOff { control_a, type_a, control_b, type_b, hand_over: hand_over(table)? })
}

fn power_button<M: PhysMemory>(table: &Table<'_, M>) -> Option<PowerButton> {
    let status = generic_port(table, EVENTS_A_64).or_else(|| port(number(table, EVENTS_A)))?;
    let control = generic_port(table, CONTROL_A_64).or_else(|| port(number(table, CONTROL_A)))?;
    // The block is divided in two halves, each of two bytes at least.
    let half = table.record::<1>(EVENTS_LENGTH).map(|length| length.u8(0) / 2).filter(|half| *half >= 2)?;
    let enable = status.checked_add(half.into())?;
    let irq = table.record::<2>(SCI)?.u16(0);
    Some(PowerButton { status, enable, irq, control, hand_over: hand_over(table)? })
}

/// The command that has the firmware hand over the registers; `None` if the table ends before.
fn hand_over<M: PhysMemory>(table: &Table<'_, M>) -> Option<Option<(u16, u8)>> {
    let command = table.record::<8>(SMI_COMMAND)?;
    Some(port(command.u32(0)).map(|port| (port, command.u8(4))).filter(|(_, value)| *value != 0))
}

fn number(table: &Table<'_, impl PhysMemory>, offset: u32) -> u32 {
    table.record::<4>(offset).map_or(0, |number| number.u32(0))
}

/// The port that a generic address structure names (section 5.2.3.2); `None` if it is empty, or
/// about memory.
fn generic_port(table: &Table<'_, impl PhysMemory>, offset: u32) -> Option<u16> {
    const PORTS: u8 = 1;
    let place = table.record::<12>(offset).filter(|place| place.u8(0) == PORTS)?;
    port(u32::try_from(place.u64(4)).ok()?)
}

fn port(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}
