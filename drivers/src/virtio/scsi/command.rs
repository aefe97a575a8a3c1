// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands and responses, as the controller and the disks know them.

use core::fmt;

use super::Failure;

/// Bytes of a command and of sense data that a controller takes after a reset (5.6.4).
pub(super) const COMMAND: usize = 32;
pub(super) const SENSE: usize = 96;
/// Bytes of a request, with its command; of a response, with sense data, and without.
pub(super) const REQUEST: usize = 19 + COMMAND;
pub(super) const RESPONSE: usize = FIXED + SENSE;
pub(super) const FIXED: usize = 12;

/// What nobody says in a response: it has not been written.
pub(super) const UNWRITTEN: u8 = !0;

/// A disk's address behind a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The target.
    pub target: u8,
    /// The logical unit: below 16384.
    pub lun: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {}, LUN {}", self.target, self.lun)
    }
}

impl Address {
    /// The request to do `command` there (5.6.6.1).
    pub(super) fn request(self, command: Command) -> [u8; REQUEST] {
        /// The only bus; how numbers of units are written.
        const BUS: u8 = 1;
        const FLAT: u8 = 1 << 6;
        let [high, low] = self.lun.to_be_bytes();
        let place = [BUS, self.target, FLAT | high, low];
        let mut request = [0; REQUEST];
        // Its number, priority and the like are 0: there is no other.
        let (before, after) = request.split_at_mut(REQUEST - COMMAND);
        before.iter_mut().zip(place).for_each(|(to, from)| *to = from);
        after.iter_mut().zip(command).for_each(|(to, from)| *to = from);
        request
    }
}

/// The number of a unit as a target lists it, if it is on no other bus (SAM-5, 4.7).
pub(super) fn listed(entry: [u8; 8]) -> Option<u16> {
    let [first, second, ..] = entry;
    match first >> 6 {
        0 if first == 0 => Some(second.into()),
        1 => Some(u16::from_be_bytes([first & 0x3f, second])),
        _ => None,
    }
}

/// A command for a disk: 6 bytes, 10, 12 or 16 of these.
pub(super) type Command = [u8; 16];

/// Which units a target has, as much as there is room for.
pub(super) fn report_luns(room: u32) -> Command {
    let [a, b, c, d] = room.to_be_bytes();
    [0xa0, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0]
}

/// What a unit is.
pub(super) const fn inquiry(room: u8) -> Command {
    [0x12, 0, 0, 0, room, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// READ CAPACITY (16).
pub(super) const fn read_capacity(room: u8) -> Command {
    [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, room, 0, 0]
}

/// MODE SENSE (6) for all pages, of which only what is before them is of interest.
pub(super) const fn mode_sense(room: u8) -> Command {
    /// No descriptors of blocks.
    const SHORT: u8 = 1 << 3;
    [0x1a, SHORT, 0x3f, 0, room, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// READ (16).
pub(super) const READ: u8 = 0x88;
/// WRITE (16).
pub(super) const WRITE: u8 = 0x8a;

/// Moves `count` blocks from `first` on.
pub(super) fn transfer(number: u8, first: u64, count: u32) -> Command {
    let [a, b, c, d, e, f, g, h] = first.to_be_bytes();
    let [i, j, k, l] = count.to_be_bytes();
    [number, 0, a, b, c, d, e, f, g, h, i, j, k, l, 0, 0]
}

/// SYNCHRONIZE CACHE (10) and (16) for the whole disk. QEMU's disks know the shorter one only.
pub(super) const SYNCHRONIZE: [Command; 2] = [
    [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/// Why a disk did not do a command (SPC-4, 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// The kind of reason.
    pub key: u8,
    /// The reason, and details.
    pub code: [u8; 2],
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [code, qualifier] = self.code;
        write!(f, "sense key {:#x}, code {code:#04x}/{qualifier:#04x}", self.key)
    }
}

impl Sense {
    const RECOVERED: u8 = 0x1;
    const NOT_READY: u8 = 0x2;
    const ILLEGAL: u8 = 0x5;
    const ATTENTION: u8 = 0x6;
    const ABORTED: u8 = 0xb;
    const BECOMING_READY: [u8; 2] = [0x04, 0x01];
    const UNKNOWN_COMMAND: [u8; 2] = [0x20, 0x00];

    /// Reads sense data, of both formats.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let byte = |index: usize| bytes.get(index).copied();
        let (key, code) = match byte(0)? & 0x7f {
            0x70 => (byte(2)?, [byte(12).unwrap_or_default(), byte(13).unwrap_or_default()]),
            0x72 => (byte(1)?, [byte(2)?, byte(3)?]),
            _ => return None,
        };
        Some(Self { key: key & 0xf, code })
    }

    /// Whether the disk does not know the command.
    pub(super) fn is_unknown_command(&self) -> bool {
        self.key == Self::ILLEGAL && self.code == Self::UNKNOWN_COMMAND
    }
}

/// Whether a command that failed is worth a second try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    No,
    AtOnce,
    Later,
}

impl Failure {
    pub(super) fn retry(&self) -> Retry {
        /// Statuses: busy, too many commands.
        const BUSY: u8 = 0x08;
        const FULL: u8 = 0x28;
        /// Responses: the target was reset; it is busy.
        const WAS_RESET: u8 = 4;
        const IS_BUSY: u8 = 5;
        match self {
            Self::Sense(Sense { key: Sense::ATTENTION | Sense::ABORTED, .. }) => Retry::AtOnce,
            Self::Sense(Sense { key: Sense::NOT_READY, code: Sense::BECOMING_READY }) => Retry::Later,
            Self::Status(BUSY | FULL) | Self::Response(IS_BUSY) => Retry::Later,
            Self::Response(WAS_RESET) => Retry::AtOnce,
            _ => Retry::No,
        }
    }
}

/// What a response says: how many bytes were not moved, if the command was carried out.
pub(super) fn outcome(response: &[u8; RESPONSE]) -> Result<u32, Failure> {
    const GOOD: u8 = 0;
    const CHECK_CONDITION: u8 = 2;
    let [a, b, c, d, e, f, g, h, _, _, status, reason, sense @ ..] = response;
    let residual = u32::from_le_bytes([*e, *f, *g, *h]);
    match (*reason, *status) {
        (0, GOOD) => Ok(residual),
        (0, CHECK_CONDITION) => {
            let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(SENSE);
            match sense.get(..length.min(SENSE)).and_then(Sense::parse) {
                Some(Sense { key: Sense::RECOVERED, .. }) => Ok(residual),
                Some(sense) => Err(Failure::Sense(sense)),
                None => Err(Failure::Status(CHECK_CONDITION)),
            }
        }
        (0, status) => Err(Failure::Status(status)),
        (UNWRITTEN, _) => Err(Failure::Nonsense),
        (reason, _) => Err(Failure::Response(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u8, reason: u8, sense: &[u8]) -> [u8; RESPONSE] {
        let mut response = [0; RESPONSE];
        response[..4].copy_from_slice(&(sense.len() as u32).to_le_bytes());
        response[4] = 7;
        (response[10], response[11]) = (status, reason);
        response[FIXED..][..sense.len()].copy_from_slice(sense);
        response
    }

    #[test]
    fn a_request_is_laid_out_as_the_controller_reads_it() {
        let request =
            Address { target: 3, lun: 0x1234 }.request(transfer(READ, 0x0102_0304_0506_0708, 0x090a));
        assert_eq!(request[..8], [1, 3, 0x52, 0x34, 0, 0, 0, 0]);
        assert_eq!(request[8..19], [0; 11]);
        assert_eq!(request[19..35], [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 9, 10, 0, 0]);
        assert_eq!(request[35..], [0; 16]);
    }

    #[test]
    fn units_are_listed_in_two_ways() {
        let entry = |first, second| listed([first, second, 0, 0, 0, 0, 0, 0]);
        assert_eq!([entry(0, 0), entry(0, 9), entry(0x41, 2)], [Some(0), Some(9), Some(0x102)]);
        assert_eq!([entry(1, 0), entry(0x80, 1), entry(0xc1, 1)], [None; 3]);
    }

    #[test]
    fn responses_are_read_with_sense_data_of_both_formats_and_of_none() {
        assert_eq!(outcome(&response(0, 0, &[])), Ok(7));
        let sense = |key, code| Err(Failure::Sense(Sense { key, code }));
        let fixed = [0x70, 0, 0x26, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x01];
        assert_eq!(outcome(&response(2, 0, &fixed)), sense(6, [0x29, 1]));
        assert_eq!(outcome(&response(2, 0, &fixed[..3])), sense(6, [0, 0]));
        assert_eq!(outcome(&response(2, 0, &[0x72, 5, 0x20, 0])), sense(5, [0x20, 0]));
        assert_eq!(outcome(&response(2, 0, &[0x70, 0, 1])), Ok(7));
        for nothing in [&[][..], &[0x70], &[0x70, 0], &[0x72, 5], &[0xff; 96]] {
            assert_eq!(outcome(&response(2, 0, nothing)), Err(Failure::Status(2)), "{nothing:?}");
        }
        let mut absurd = response(2, 0, &fixed);
        absurd[..4].copy_from_slice(&[0xff; 4]);
        assert_eq!(outcome(&absurd), sense(6, [0x29, 1]));
        assert_eq!(outcome(&response(0x18, 0, &[])), Err(Failure::Status(0x18)));
        assert_eq!(outcome(&response(0, 3, &[])), Err(Failure::NO_TARGET));
        assert_eq!(outcome(&response(0, UNWRITTEN, &[])), Err(Failure::Nonsense));
    }
}
