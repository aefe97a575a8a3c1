// SPDX-License-Identifier: MIT OR Apache-2.0
//! Switching a PC off or resetting it, where no hypervisor can be asked.

use crate::hal::Ports;
use crate::pci::{Configuration, Function, functions};

/// QEMU's `isa-debug-exit` device, at the address that its users agree on; a machine without it
/// ignores the write. QEMU ends with exit status `2 * value + 1`.
const DEBUG_EXIT: u16 = 0xf4;
/// The keyboard controller's command port; command 0xFE pulses the CPU's reset line.
const KEYBOARD: u16 = 0x64;
/// The reset control register of Intel chipsets.
const RESET_CONTROL: u16 = 0xcf9;

/// Sleep-enable bit of an ACPI PM1 control register (ACPI 6.5, 4.8.3.2.1).
const SLEEP_ENABLE: u16 = 1 << 13;
/// Where we put the power-management registers if nobody has placed them.
const PM_BASE: u16 = 0xb000;

/// Ends QEMU with exit status `2 * value + 1`, if it has the device for it.
pub fn debug_exit<P: Ports + ?Sized>(ports: &P, value: u8) {
    ports.write_u8(DEBUG_EXIT, value);
}

/// Whether `function` is one that [`soft_off`] can use.
pub fn knows(function: &Function) -> bool {
    Chipset::of(function).is_some()
}

/// Switches off through the power-management block of the two chipsets that hypervisors emulate
/// (PIIX4 and ICH9), which works without ACPI tables. Returns if this is another machine.
pub fn soft_off<P: Ports + ?Sized>(ports: &P) {
    for function in functions(ports) {
        if let Some(chipset) = Chipset::of(&function) {
            let base = chipset.enable(&Configuration::new(ports, function.address));
            // Sleep type 0 is "soft off" on both.
            ports.write_u16(base.wrapping_add(4), SLEEP_ENABLE);
        }
    }
}

/// Bit 0 of that register: the operating system has these registers, not the firmware.
const HANDED_OVER: u16 = 1 << 0;
/// Looks at that bit. Firmware takes some milliseconds, a look a microsecond or more.
const MAX_SPINS: u32 = 1_000_000;

/// Writes a sleep type to an ACPI control register, which is how a machine is switched off
/// (ACPI 6.5, 4.8.3.2). Returns if nothing comes of it.
pub fn sleep<P: Ports + ?Sized>(ports: &P, control: u16, sleep_type: u8) {
    const TYPE: u16 = 0b111 << 10;
    let kept = ports.read_u16(control) & !(TYPE | SLEEP_ENABLE);
    ports.write_u16(control, kept | u16::from(sleep_type & 7) << 10 | SLEEP_ENABLE);
}

/// Has the firmware hand over the register `control` by sending `command` to port `firmware`.
pub fn take_over<P: Ports + ?Sized>(ports: &P, control: u16, (firmware, command): (u16, u8)) {
    let is_ours = || ports.read_u16(control) & HANDED_OVER != 0;
    if !is_ours() {
        ports.write_u8(firmware, command);
        // A firmware that never does it leaves us with the other ways.
        let _ = (0..MAX_SPINS).find(|_| is_ours());
    }
}

/// The bit of the power button in both event registers (ACPI 6.5, 4.8.3.1).
const BUTTON: u16 = 1 << 8;

/// A power button, by the ports of its event registers.
#[derive(Clone, Copy, Debug)]
pub struct Button {
    /// Has a bit that is set when the button is pressed, and cleared by writing it.
    pub status: u16,
    /// Has a bit that has the status raise the system control interrupt.
    pub enable: u16,
}

impl Button {
    /// Has it raise its interrupt, and nothing else: whatever firmware left enabled nobody here would clear.
    pub fn enable<P: Ports + ?Sized>(&self, ports: &P) {
        ports.write_u16(self.enable, BUTTON);
    }

    /// Whether it was pressed since the last look. Ends its interrupt.
    pub fn take_press<P: Ports + ?Sized>(&self, ports: &P) -> bool {
        let status = ports.read_u16(self.status);
        // All ones are what nobody answers.
        let is_pressed = status != !0 && status & BUTTON != 0;
        if is_pressed {
            ports.write_u16(self.status, BUTTON);
        }
        is_pressed
    }
}

/// Resets the machine: by the chipset, then by the keyboard controller. Returns if neither works.
pub fn reset<P: Ports + ?Sized>(ports: &P) {
    ports.write_u8(RESET_CONTROL, 0x02);
    ports.write_u8(RESET_CONTROL, 0x06);
    ports.write_u8(KEYBOARD, 0xfe);
}

/// How a chipset's power-management registers are placed: which configuration registers hold
/// their address, and the switch that enables them.
struct Chipset {
    base: u8,
    enable: u8,
    enable_bit: u32,
}

impl Chipset {
    fn of(function: &Function) -> Option<Self> {
        match (function.vendor, function.device) {
            // PIIX4 power management: PMBA, PMREGMISC.
            (0x8086, 0x7113) => Some(Self { base: 0x40, enable: 0x80, enable_bit: 1 }),
            // ICH9 LPC bridge: PMBASE, ACPI_CNTL.
            (0x8086, 0x2918) => Some(Self { base: 0x40, enable: 0x44, enable_bit: 1 << 7 }),
            _ => None,
        }
    }

    /// Switches the registers on, and returns their address.
    fn enable<P: Ports + ?Sized>(&self, configuration: &Configuration<'_, P>) -> u16 {
        let placed = (configuration.read(self.base) & 0xff80) as u16;
        let base = if placed == 0 { PM_BASE } else { placed };
        configuration.write(self.base, u32::from(base) | 1);
        configuration.write(self.enable, configuration.read(self.enable) | self.enable_bit);
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::PciAddress;
    use crate::pci::tests::FakePorts;

    fn with_piix4(pmba: u32) -> FakePorts {
        let ports = FakePorts::default();
        let address = PciAddress { bus: 0, device: 1, function: 0 };
        ports.plug(address, 0x00, 0x7113_8086);
        ports.plug(address, 0x08, 0x0680_0003);
        ports.plug(address, 0x0c, 0);
        ports.plug(address, 0x40, pmba);
        ports.plug(address, 0x80, 0);
        ports
    }

    #[test]
    fn a_chipset_that_firmware_set_up_is_used_where_it_is() {
        let ports = with_piix4(0x0601);
        soft_off(&ports);
        assert_eq!(*ports.written.borrow(), [(0x604, 0x2000)]);
    }

    #[test]
    fn a_chipset_that_nobody_set_up_is_placed_first() {
        let ports = with_piix4(1);
        soft_off(&ports);
        assert_eq!(*ports.written.borrow(), [(0xb004, 0x2000)]);
    }

    #[test]
    fn the_sleep_type_goes_where_the_control_register_has_it() {
        let ports = FakePorts::default();
        sleep(&ports, 0x604, 5);
        // Unwritten ports of the fake read as all ones: the other bits stay.
        assert_eq!(*ports.written.borrow(), [(0x604, 0xf7ff)]);
    }

    #[test]
    fn a_register_that_is_ours_already_is_not_asked_for() {
        let ports = FakePorts::default();
        take_over(&ports, 0x604, (0xb2, 1));
        assert!(ports.written.borrow().is_empty());
    }

    /// Event registers whose bits are cleared by writing them.
    struct Events(core::cell::Cell<u16>, core::cell::Cell<u16>);

    impl Ports for Events {
        fn read_u8(&self, _port: u16) -> u8 {
            0
        }
        fn read_u16(&self, port: u16) -> u16 {
            if port == 0x600 { self.0.get() } else { self.1.get() }
        }
        fn read_u32(&self, _port: u16) -> u32 {
            0
        }
        fn write_u8(&self, _port: u16, _value: u8) {}
        fn write_u16(&self, port: u16, value: u16) {
            match port {
                0x600 => self.0.set(self.0.get() & !value),
                _ => self.1.set(value),
            }
        }
        fn write_u32(&self, _port: u16, _value: u32) {}
    }

    #[test]
    fn a_press_is_taken_once_and_others_events_are_left() {
        let events = Events(0x0111.into(), 0x0021.into());
        let button = Button { status: 0x600, enable: 0x602 };
        button.enable(&events);
        assert_eq!(events.1.get(), 0x0100);
        assert!(button.take_press(&events) && !button.take_press(&events));
        assert_eq!(events.0.get(), 0x0011);
        // Nobody answers.
        assert!(!button.take_press(&FakePorts::default()));
    }

    #[test]
    fn a_machine_without_such_a_chipset_is_left_alone() {
        let ports = FakePorts::default();
        soft_off(&ports);
        assert!(ports.written.borrow().is_empty());
    }
}
