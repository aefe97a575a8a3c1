// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands (sections 4.2, 5 and 6).

/// Bytes of a command.
pub(super) const BYTES: usize = 64;

/// Commands for the controller.
pub(super) const CREATE_COMMANDS: u8 = 0x01;
pub(super) const CREATE_COMPLETIONS: u8 = 0x05;
pub(super) const IDENTIFY: u8 = 0x06;
pub(super) const SET_FEATURES: u8 = 0x09;
/// Commands for a namespace.
pub(super) const FLUSH: u8 = 0x00;
pub(super) const WRITE: u8 = 0x01;
pub(super) const READ: u8 = 0x02;

/// The status of a command to a namespace that does not exist (4.6.1.2.1).
pub(super) const INVALID_NAMESPACE: u16 = 0x00b;

/// What is identified: a namespace, the controller, the list of namespaces.
pub(super) const OF_NAMESPACE: u32 = 0x00;
pub(super) const OF_CONTROLLER: u32 = 0x01;
pub(super) const LIST: u32 = 0x02;
/// The feature that says how many queues there are.
pub(super) const QUEUE_COUNT: u32 = 0x07;
/// A queue's memory is in one piece; it raises interrupts.
pub(super) const IN_ONE_PIECE: u32 = 1 << 0;
pub(super) const INTERRUPTS: u32 = 1 << 1;

/// A command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Command {
    pub(super) number: u8,
    /// 0 for none.
    pub(super) namespace: u32,
    /// The first page of data, and the second, or the list of all but the first.
    pub(super) data: [u64; 2],
    /// Words 10 to 12.
    pub(super) words: [u32; 3],
}

impl Command {
    /// As the controller reads it.
    pub(super) fn bytes(&self, id: u16) -> [u8; BYTES] {
        let [first, second] = self.data;
        let [a, b, c] = self.words;
        let first_word = u32::from(self.number) | u32::from(id) << 16;
        let (low, high) = (|address| address as u32, |address| (address >> 32) as u32);
        let data = [low(first), high(first), low(second), high(second)];
        let [w, x, y, z] = data;
        let words = [first_word, self.namespace, 0, 0, 0, 0, w, x, y, z, a, b, c, 0, 0, 0];
        let mut bytes = [0; BYTES];
        let all = words.into_iter().flat_map(u32::to_le_bytes);
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_laid_out_as_the_controller_reads_it() {
        let command = Command {
            number: READ,
            namespace: 0x0a0b_0c0d,
            data: [0x1_2345_6000, 0x2_0000_0008],
            words: [0x0403_0201, 0x0807_0605, 7],
        };
        let bytes = command.bytes(0x1122);
        assert_eq!(bytes[..8], [2, 0, 0x22, 0x11, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(bytes[8..24], [0; 16]);
        assert_eq!(bytes[24..40], [0, 0x60, 0x45, 0x23, 1, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[40..52], [1, 2, 3, 4, 5, 6, 7, 8, 7, 0, 0, 0]);
        assert_eq!(bytes[52..], [0; 12]);
    }
}
