// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers (section 3) and structures in memory (section 4).

/// Bytes of the registers that are used: those of the controller, and of as many ports as fit into a page,
/// which is all that emulators have.
pub const LENGTH: u64 = 0x1000;

/// Ports whose registers these are.
pub(super) const MAX_PORTS: u8 = ((LENGTH as usize - FIRST_PORT) / PORT) as u8;

/// What the controller can do, and whether it knows 64-bit addresses.
pub(super) const CAPABILITIES: usize = 0x00;
pub(super) const LONG_ADDRESSES: u32 = 1 << 31;
/// Control: reset; raise interrupts; be an AHCI controller, not an IDE one.
pub(super) const CONTROL: usize = 0x04;
pub(super) const RESET: u32 = 1 << 0;
pub(super) const INTERRUPTS: u32 = 1 << 1;
pub(super) const AHCI: u32 = 1 << 31;
/// Ports that have raised an interrupt, a bit each; cleared by writing ones.
pub(super) const RAISED: usize = 0x08;
/// Ports that there are, a bit each.
pub(super) const PORTS: usize = 0x0c;

/// First registers of the first port, and bytes from one to the next.
pub(super) const FIRST_PORT: usize = 0x100;
pub(super) const PORT: usize = 0x80;

/// Addresses of a port's list of commands, and of where the drive's messages go; low half, then high.
pub(super) const LIST: usize = 0x00;
pub(super) const MESSAGES: usize = 0x08;
/// What has happened, cleared by writing ones, and what of it raises an interrupt.
pub(super) const CAUSES: usize = 0x10;
pub(super) const ENABLE: usize = 0x14;
/// The drive's status came with a message, or after data by the CPU; the command failed.
pub(super) const STATUS_CAME: u32 = 1 << 0 | 1 << 1;
/// The command failed, or the controller or the link did.
pub(super) const FAILED: u32 = 0x7d80_0010;
/// Control of the port: work on commands; spin up; power; take messages; it does take them; it does work.
pub(super) const COMMAND: usize = 0x18;
pub(super) const START: u32 = 1 << 0;
pub(super) const SPIN_UP: u32 = 1 << 1;
pub(super) const POWER: u32 = 1 << 2;
pub(super) const TAKE_MESSAGES: u32 = 1 << 4;
pub(super) const TAKES_MESSAGES: u32 = 1 << 14;
pub(super) const WORKS: u32 = 1 << 15;
/// The drive's status in the lowest byte, its error above.
pub(super) const STATUS: usize = 0x20;
pub(super) const BUSY: u32 = 1 << 7 | 1 << 3;
pub(super) const ERROR: u32 = 1 << 0;
/// What kind of drive it is: a disk.
pub(super) const KIND: usize = 0x24;
pub(super) const DISK: u32 = 0x0000_0101;
/// The link: a drive is there, and communicates.
pub(super) const LINK: usize = 0x28;
pub(super) const LINK_MASK: u32 = 0xf;
pub(super) const LINK_UP: u32 = 3;
/// Control of the link: reset it.
pub(super) const LINK_CONTROL: usize = 0x2c;
pub(super) const LINK_RESET: u32 = 1;
/// Errors of the link, cleared by writing ones.
pub(super) const LINK_ERRORS: usize = 0x30;
/// Commands that the drive has not answered, a bit each.
pub(super) const ISSUED: usize = 0x38;
