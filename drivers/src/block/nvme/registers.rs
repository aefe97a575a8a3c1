// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers (section 3.1).

/// Bytes of the registers that are used: as many as each controller has (section 2.1.10). Behind the first
/// page are doorbells.
pub const LENGTH: u64 = 0x4000;

/// What the controller can do, in two halves: the entries of a queue less one, and how many half seconds it
/// may take to be ready.
pub(super) const CAPABILITIES: usize = 0x00;
/// The upper half: the distance of doorbells, the sets of commands, the smallest page.
pub(super) const CAPABILITIES_HIGH: usize = 0x04;
pub(super) const NVM_COMMANDS: u32 = 1 << 5;

/// Control: work; the sizes of the entries of I/O queues, as powers of two: commands and completions. All
/// else is 0: pages of 4 KiB, the set of NVM commands, queues in turn.
pub(super) const CONTROL: usize = 0x14;
pub(super) const ENABLE: u32 = 1 << 0;
pub(super) const ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;
/// Status: it works; it has met an error that only a reset ends.
pub(super) const STATUS: usize = 0x1c;
pub(super) const READY: u32 = 1 << 0;
pub(super) const FATAL: u32 = 1 << 1;
/// The admin queues: their lengths less one, and the addresses of commands and completions.
pub(super) const ADMIN_LENGTHS: usize = 0x24;
pub(super) const ADMIN_COMMANDS: usize = 0x28;
pub(super) const ADMIN_COMPLETIONS: usize = 0x30;

/// The first doorbell: that of the admin queue's commands.
pub(super) const DOORBELLS: usize = 0x1000;
