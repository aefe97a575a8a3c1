// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two 8259 interrupt controllers of a PC. All lines are masked but those that are asked for.

use crate::hal::Ports;

/// Command and data port of the first and of the second controller.
const CONTROLLERS: [(u16, u16); 2] = [(0x20, 0x21), (0xa0, 0xa1)];
/// First vectors of the two: those above the CPU's exceptions. Firmware leaves the first
/// controller at 8, where its interrupts look like double faults.
pub const VECTORS: [u8; 2] = [0x20, 0x28];
/// How the two are wired: the second to input 2 of the first.
const WIRING: [u8; 2] = [1 << CASCADE, CASCADE];

/// Line of the first controller that the second one raises.
const CASCADE: u8 = 2;

/// Start initialization; three more words follow on the data port.
const INITIALIZE: u8 = 0x11;
/// 8086 mode. Interrupts of the first controller count as handled once they are taken (automatic end of
/// interrupt), those of the second one when [`end`] says so: if its output stayed up for the next one, the
/// first, which waits for it to rise, would not see that (8259A datasheet: no such end for a slave).
const MODES: [u8; 2] = [0x03, 0x01];
/// The interrupt of the line in the lowest three bits has been handled (OCW2, specific end of interrupt).
const END: u8 = 0x60;

/// Whether there are such controllers: the mask of the second one, read back, is what was written. All
/// lines are masked then.
pub fn is_there<P: Ports + ?Sized>(ports: &P) -> bool {
    /// A mask that no port reads as by itself.
    const PATTERN: u8 = 0x5a;
    let [(_, first), (_, second)] = CONTROLLERS;
    ports.write_u8(second, PATTERN);
    let found = ports.read_u8(second) == PATTERN;
    for data in [first, second] {
        ports.write_u8(data, 0xff);
    }
    found
}

/// Masks all lines, and moves the vectors to where they can be told from exceptions: lines 0 to 15
/// raise vectors 0x20 to 0x2f.
pub fn mask_all<P: Ports + ?Sized>(ports: &P) {
    let words = VECTORS.into_iter().zip(WIRING).zip(MODES);
    for ((command, data), ((vector, wiring), mode)) in CONTROLLERS.into_iter().zip(words) {
        ports.write_u8(command, INITIALIZE);
        ports.write_u8(data, vector);
        ports.write_u8(data, wiring);
        ports.write_u8(data, mode);
        ports.write_u8(data, 0xff);
    }
}

/// Lets interrupts of `line` (0 to 15) through. Others are left as they are.
pub fn open<P: Ports + ?Sized>(ports: &P, line: u8) {
    let [first, second] = CONTROLLERS;
    let (data, bit) = if line < 8 { (first.1, line) } else { (second.1, line & 7) };
    clear_bit(ports, data, bit);
    if line >= 8 {
        clear_bit(ports, first.1, CASCADE);
    }
}

/// Lets interrupts of `line` (0 to 15) through no more.
pub fn close<P: Ports + ?Sized>(ports: &P, line: u8) {
    let [first, second] = CONTROLLERS;
    let (data, bit) = if line < 8 { (first.1, line) } else { (second.1, line & 7) };
    ports.write_u8(data, ports.read_u8(data) | 1 << bit);
}

/// To be called after an interrupt of `line`, which is open: if it is still up, or is raised again, there is
/// another one.
pub fn eoi<P: Ports + ?Sized>(ports: &P, line: u8) {
    if line >= 8 {
        let [_, (command, _)] = CONTROLLERS;
        ports.write_u8(command, END | line & 7);
    }
}

fn clear_bit<P: Ports + ?Sized>(ports: &P, data: u16, bit: u8) {
    ports.write_u8(data, ports.read_u8(data) & !(1 << bit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::tests::FakePorts;

    /// Ports that keep what is written.
    #[derive(Default)]
    struct Kept(std::cell::RefCell<std::collections::HashMap<u16, u8>>);

    impl Ports for Kept {
        fn read_u8(&self, port: u16) -> u8 {
            self.0.borrow().get(&port).copied().unwrap_or(0xff)
        }
        fn read_u16(&self, _port: u16) -> u16 {
            !0
        }
        fn read_u32(&self, _port: u16) -> u32 {
            !0
        }
        fn write_u8(&self, port: u16, value: u8) {
            self.0.borrow_mut().insert(port, value);
        }
        fn write_u16(&self, _port: u16, _value: u16) {}
        fn write_u32(&self, _port: u16, _value: u32) {}
    }

    #[test]
    fn controllers_keep_a_mask_and_end_up_masked() {
        let ports = Kept::default();
        assert!(is_there(&ports));
        assert_eq!((ports.read_u8(0x21), ports.read_u8(0xa1)), (0xff, 0xff));
    }

    #[test]
    fn where_no_mask_is_kept_there_are_none() {
        assert!(!is_there(&FakePorts::default()));
    }

    #[test]
    fn both_controllers_end_up_masked_above_the_exceptions() {
        let ports = FakePorts::default();
        mask_all(&ports);
        let written = ports.written.borrow();
        for (data, vector) in [(0x21, 0x20), (0xa1, 0x28)] {
            let words: Vec<u32> =
                written.iter().filter(|(port, _)| *port == data).map(|(_, word)| *word).collect();
            assert_eq!((words[0], *words.last().unwrap()), (vector, 0xff));
        }
    }

    #[test]
    fn interrupts_of_the_second_controller_are_ended() {
        let ports = FakePorts::default();
        eoi(&ports, 3);
        eoi(&ports, 10);
        assert_eq!(*ports.written.borrow(), [(0xa0, 0x62)]);
    }

    #[test]
    fn a_line_of_the_second_controller_opens_the_way_through_the_first() {
        let ports = FakePorts::default();
        open(&ports, 14);
        // Unwritten ports of the fake read as all ones.
        assert_eq!(*ports.written.borrow(), [(0xa1, 0xbf), (0x21, 0xfb)]);
        ports.written.borrow_mut().clear();
        close(&ports, 3);
        assert_eq!(*ports.written.borrow(), [(0x21, 0xff)]);
    }
}
