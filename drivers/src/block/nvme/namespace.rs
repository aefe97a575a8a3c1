// SPDX-License-Identifier: MIT OR Apache-2.0
//! Namespaces: each is a disk (section 5.15.2.1).

use core::fmt;

use crate::block::Geometry;
use crate::hal::DeviceMemory;

/// Namespaces of a controller that are used, at most.
pub const MAX_NAMESPACES: usize = 16;

/// Where a namespace's description has its size in blocks, which of the formats it has, whether it can be
/// written, and the first of the formats.
const SIZE: usize = 0;
const FORMAT: usize = 26;
const ATTRIBUTES: usize = 99;
const WRITE_PROTECTED: u8 = 1 << 0;
const FORMATS: usize = 128;
const FORMAT_MASK: u8 = 0xf;

/// Sizes of blocks that are known here, as powers of two.
const BLOCK_SIZES: [u8; 2] = [9, 12];

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its place among the controller's, counted from 1.
    pub place: u8,
    /// What the disk is like.
    pub geometry: Geometry,
    /// The controller's number for it.
    pub(super) id: u32,
}

/// Why a namespace is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has no blocks.
    Empty,
    /// It claims to have more bytes than can be.
    TooLarge,
    /// Its blocks are of another size than 512 or 4096 bytes: of 2 to the power of this.
    BlockSize(u8),
    /// Each of its blocks has so many bytes of metadata.
    Metadata(u16),
    /// The controller does not describe it.
    Undescribed(super::Failure),
    /// It is the first of so many behind the first [`MAX_NAMESPACES`].
    TooMany(u32),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no blocks"),
            Self::TooLarge => f.write_str("it claims to have more bytes than can be"),
            Self::BlockSize(power) => {
                write!(f, "its blocks are of 2^{power} bytes; format it with blocks of 512 or 4096")
            }
            Self::Metadata(bytes) => {
                write!(f, "its blocks have {bytes} bytes of metadata; format it without")
            }
            Self::Undescribed(failure) => failure.fmt(f),
            Self::TooMany(count) => {
                write!(f, "only the first {MAX_NAMESPACES} are; {count} are left out")
            }
        }
    }
}

impl core::error::Error for Unfit {}

impl Namespace {
    /// Reads the description at `offset` of `memory`.
    pub(super) fn parse(
        place: u8,
        id: u32,
        memory: &impl DeviceMemory,
        offset: usize,
    ) -> Result<Self, Unfit> {
        let [format] = read(memory, offset + FORMAT);
        let [attributes] = read(memory, offset + ATTRIBUTES);
        let [low, high, power, _] = read(memory, offset + FORMATS + 4 * usize::from(format & FORMAT_MASK));
        let blocks = u64::from_le_bytes(read(memory, offset + SIZE));
        let metadata = u16::from_le_bytes([low, high]);
        if blocks == 0 {
            return Err(Unfit::Empty);
        }
        if !BLOCK_SIZES.contains(&power) {
            return Err(Unfit::BlockSize(power));
        }
        if metadata != 0 {
            return Err(Unfit::Metadata(metadata));
        }
        let sector_size = 1 << power;
        let geometry = Geometry {
            bytes: blocks.checked_mul(u64::from(sector_size)).ok_or(Unfit::TooLarge)?,
            sector_size,
            read_only: attributes & WRITE_PROTECTED != 0,
            removable: false,
            optical: false,
            discards: false,
        };
        Ok(Self { place, geometry, id })
    }
}

/// Bytes of a description, which are read once.
pub(super) fn read<const N: usize>(memory: &impl DeviceMemory, offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    memory.read(offset, &mut bytes);
    bytes
}
