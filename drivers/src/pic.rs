// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupt controllers of a PC (Intel 8259), as far as they have to be kept quiet.

use crate::ports::Ports;

/// Command and data port of the first and of the second controller.
const CONTROLLERS: [(u16, u16); 2] = [(0x20, 0x21), (0xa0, 0xa1)];
/// First vectors of the two: those above the CPU's exceptions. Firmware leaves the first
/// controller at 8, where its interrupts look like double faults.
const VECTORS: [u8; 2] = [0x20, 0x28];
/// How the two are wired: the second to input 2 of the first.
const WIRING: [u8; 2] = [1 << 2, 2];

/// Start initialization; three more words follow on the data port.
const INITIALIZE: u8 = 0x11;
/// 8086 mode.
const MODE: u8 = 0x01;

/// Masks all inputs, and moves the vectors to where they can be told from exceptions.
pub fn silence<P: Ports + ?Sized>(ports: &P) {
    for (((command, data), vector), wiring) in CONTROLLERS.into_iter().zip(VECTORS).zip(WIRING) {
        ports.write_u8(command, INITIALIZE);
        ports.write_u8(data, vector);
        ports.write_u8(data, wiring);
        ports.write_u8(data, MODE);
        ports.write_u8(data, 0xff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::tests::FakePorts;

    #[test]
    fn both_controllers_end_up_masked_above_the_exceptions() {
        let ports = FakePorts::default();
        silence(&ports);
        let written = ports.written.borrow();
        for (data, vector) in [(0x21, 0x20), (0xa1, 0x28)] {
            let words: Vec<u32> =
                written.iter().filter(|(port, _)| *port == data).map(|(_, word)| *word).collect();
            assert_eq!((words[0], *words.last().unwrap()), (vector, 0xff));
        }
    }
}
