// SPDX-License-Identifier: MIT OR Apache-2.0
//! The superblock, before anybody reserves memory for what it claims (Linux, `fs/ext4/ext4.h`).

use core::fmt;

/// Where it begins, and its bytes that are looked at.
pub(crate) const PLACE: u64 = 1024;
pub(crate) const LENGTH: usize = 1024;

/// Where a file system has its magic number, and which.
pub const MAGIC: (u64, [u8; 2]) = (PLACE + 0x38, [0x53, 0xef]);

/// `EXT4_FEATURE_INCOMPAT_64BIT`.
const WIDE: u64 = 0x80;

/// The longest blocks: `EXT4_MAX_BLOCK_SIZE`.
const MAX_BLOCK: u64 = 65536;

/// Groups of blocks that a small file system may have, whatever their size is.
const FEW_GROUPS: u64 = 1024;

/// Why a file system is not mounted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub(crate) &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file system is damaged: {}", self.0)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Refused {}

/// Checks that what a superblock claims has room on a disk of `length` bytes.
pub(crate) fn check(superblock: &[u8; LENGTH], length: u64) -> Result<(), Refused> {
    let number = |place: usize, bytes: usize| {
        let bytes = superblock.get(place..place + bytes).unwrap_or_default();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let block = 1024_u64.checked_shl(number(0x18, 4).min(32) as u32).filter(|block| *block <= MAX_BLOCK);
    let block = block.ok_or(Refused("its blocks are too long"))?;
    let is_wide = number(0x60, 4) & WIDE != 0;
    let blocks = number(0x4, 4) | if is_wide { number(0x150, 4) << 32 } else { 0 };
    if number(0x150, 4) != 0 && !is_wide {
        return Err(Refused("it has more blocks than it can have"));
    }
    if blocks.checked_mul(block).is_none_or(|bytes| bytes > length) {
        return Err(Refused("it is longer than the disk"));
    }
    let in_group = number(0x20, 4);
    let groups = blocks.checked_div(in_group).ok_or(Refused("its groups have no blocks"))?;
    if in_group < block && groups > FEW_GROUPS {
        return Err(Refused("its groups are too small"));
    }
    let inode = number(0x58, 2);
    if !inode.is_power_of_two() || !(128..=block).contains(&inode) {
        return Err(Refused("its inodes have no length that there is"));
    }
    let descriptor = number(0xfe, 2);
    if is_wide && (!descriptor.is_power_of_two() || !(64..=1024).contains(&descriptor)) {
        return Err(Refused("its group descriptors have no length that there is"));
    }
    Ok(())
}
