// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all ATA drives have in common, whatever controller they are at: commands, errors, and the
//! identification data (ATA/ATAPI Command Set 2; identification data: 7.12.7).

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::block::Geometry;

/// Commands; those with long addresses are for sectors of 48 bits.
pub(crate) const IDENTIFY: u8 = 0xec;
pub(crate) const READ_BY_DMA: u8 = 0xc8;
pub(crate) const READ_BY_DMA_LONG: u8 = 0x25;
pub(crate) const WRITE_BY_DMA: u8 = 0xca;
pub(crate) const WRITE_BY_DMA_LONG: u8 = 0x35;
pub(crate) const FLUSH: u8 = 0xe7;
pub(crate) const FLUSH_LONG: u8 = 0xea;

/// Sectors that are moved by one command: the most there can be with short addresses.
pub(crate) const MAX_SECTORS: usize = 256;

/// How long a drive may take for one command: one that sleeps has to spin up.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The drive says so; the error register.
    Refused(u8),
    /// The drive said nothing for [`TIMEOUT`].
    Silent,
    /// The drive does not offer the data that it should, or offers too much.
    Confused,
    /// The controller cannot reach the memory.
    OutOfReach,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the drive refused a command (error {error:#04x})"),
            Self::Silent => f.write_str("the drive does not respond"),
            Self::Confused => f.write_str("the drive broke the protocol"),
            Self::OutOfReach => f.write_str("the controller does not reach all memory"),
        }
    }
}

impl core::error::Error for Failure {}

/// Bytes of the description.
pub(crate) const LENGTH: usize = 512;
/// The only size of sectors that is known here; drives with larger ones are not emulated.
pub(crate) const SECTOR: u32 = 512;

/// What a drive says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its model.
    pub model: String,
    /// Sectors that it has.
    pub sectors: u64,
    /// Whether sectors beyond 2^28 can be named.
    pub long_addresses: bool,
    /// Whether it moves data by DMA.
    pub dma: bool,
}

impl Identity {
    /// Reads the description; `None` if it is none of a disk that can be used.
    pub(crate) fn parse(bytes: &[u8; LENGTH]) -> Option<Self> {
        let word = |index: usize| {
            bytes
                .get(index * 2..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |word| u16::from_le_bytes(*word))
        };
        let number = |first: usize, count: usize| {
            (first..first + count).rev().fold(0u64, |sum, index| sum << 16 | u64::from(word(index)))
        };
        // Bit 15 of word 0 marks drives of another kind. Where word 106 is valid, its bit 12 says
        // that words 117 and 118 have the size of a sector.
        let other_sectors = word(106) & 0xd000 == 0x5000 && number(117, 2) != u64::from(SECTOR) / 2;
        let by_sector = word(49) & 1 << 9 != 0;
        if word(0) & 1 << 15 != 0 || !by_sector || other_sectors {
            return None;
        }
        let long_addresses = word(83) & 0xc400 == 0x4400;
        let sectors = if long_addresses { number(100, 4).min(1 << 48) } else { number(60, 2).min(1 << 28) };
        let model = text(bytes.get(54..94)?);
        (sectors != 0).then_some(Self { model, sectors, long_addresses, dma: word(49) & 1 << 8 != 0 })
    }

    /// The form of a command for this drive: with short or with long addresses.
    pub(crate) fn form(&self, short: u8, long: u8) -> u8 {
        if self.long_addresses { long } else { short }
    }

    /// The drive as a disk.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            bytes: self.sectors.saturating_mul(SECTOR.into()),
            sector_size: SECTOR,
            read_only: false,
            removable: false,
            optical: false,
            discards: false,
        }
    }
}

/// Text, whose bytes come in pairs the wrong way round, without what cannot be printed.
fn text(bytes: &[u8]) -> String {
    let pairs = bytes.chunks_exact(2).flat_map(|pair| pair.iter().rev());
    let text: String =
        pairs.map(|byte| char::from(*byte)).filter(|letter| matches!(letter, ' '..='~')).collect();
    text.trim().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The description of a drive with so many sectors.
    pub(crate) fn description(sectors: u64, long_addresses: bool) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut set =
            |index: usize, word: u16| bytes[index * 2..index * 2 + 2].copy_from_slice(&word.to_le_bytes());
        set(0, 0x0040);
        set(49, 1 << 9 | 1 << 8);
        for (index, letters) in b"FAKE DISK           ".chunks(2).enumerate() {
            set(27 + index, u16::from_be_bytes([letters[0], letters[1]]));
        }
        set(60, sectors.min(0x0fff_ffff) as u16);
        set(61, (sectors.min(0x0fff_ffff) >> 16) as u16);
        if long_addresses {
            set(83, 0x4400);
            (0..4).for_each(|index| set(100 + index, (sectors >> (16 * index)) as u16));
        }
        bytes
    }

    #[test]
    fn a_disks_size_and_model_are_read() {
        let identity = Identity::parse(&description(10_000, false)).unwrap();
        assert_eq!((identity.sectors, identity.model.as_str()), (10_000, "FAKE DISK"));
        let identity = Identity::parse(&description(1 << 33, true)).unwrap();
        assert_eq!((identity.sectors, identity.geometry().bytes), (1 << 33, 1 << 42));
    }

    #[test]
    fn a_size_that_cannot_be_addressed_is_cut() {
        assert_eq!(Identity::parse(&description(u64::MAX, true)).unwrap().sectors, 1 << 48);
    }

    #[test]
    fn what_is_no_disk_of_known_sectors_is_none() {
        assert_eq!(Identity::parse(&[0; LENGTH]), None);
        assert_eq!(Identity::parse(&[0xff; LENGTH]), None);
        let mut large = description(100, false);
        large[212..214].copy_from_slice(&0x5000u16.to_le_bytes());
        large[234..236].copy_from_slice(&2048u16.to_le_bytes());
        assert_eq!(Identity::parse(&large), None);
    }
}
