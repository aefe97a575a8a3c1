// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers (section 13.4) and descriptors (3.2.3, 3.3.3) that are used.

/// Bytes of all registers together: those that the first base address register decodes (section 4.1).
pub const LENGTH: u64 = 128 << 10;

/// Device control, and its bits: the link follows what the other end can, the link is on, reset.
pub(super) const CONTROL: usize = 0x0000;
pub(super) const AUTO_SPEED: u32 = 1 << 5;
pub(super) const LINK_ON: u32 = 1 << 6;
pub(super) const RESET: u32 = 1 << 26;

/// Device status, and its bit for a cable with somebody at its other end.
pub(super) const STATUS: usize = 0x0008;
pub(super) const LINK_UP: u32 = 1 << 1;

/// Causes of interrupts, cleared by reading; those that are to raise the line; those that aren't.
pub(super) const CAUSES: usize = 0x00c0;
pub(super) const ENABLE: usize = 0x00d0;
pub(super) const DISABLE: usize = 0x00d8;
/// Causes: a descriptor was sent; the link changed; the ring runs dry; it did; a frame is there.
pub(super) const SENT: u32 = 1 << 0;
pub(super) const LINK_CHANGED: u32 = 1 << 2;
pub(super) const RUNS_DRY: u32 = 1 << 4;
pub(super) const OVERRUN: u32 = 1 << 6;
pub(super) const RECEIVED: u32 = 1 << 7;

/// Receive control: on; broadcast too; without the frame's own checksum. Buffers have 2048 bytes.
pub(super) const RECEIVE: usize = 0x0100;
pub(super) const RECEIVE_ON: u32 = 1 << 1 | 1 << 15 | 1 << 26;
/// Takes all multicast frames: IPv6 needs some.
pub(super) const ALL_MULTICAST: u32 = 1 << 4;

/// Transmit control: on; short frames are padded; collisions as section 13.4.33 advises.
pub(super) const TRANSMIT: usize = 0x0400;
pub(super) const TRANSMIT_ON: u32 = 1 << 1 | 1 << 3 | 0x0f << 4 | 0x40 << 12;
/// Gaps between frames, and the values that section 13.4.34 advises for copper.
pub(super) const GAPS: usize = 0x0410;
pub(super) const USUAL_GAPS: u32 = 10 | 8 << 10 | 6 << 20;

/// The rings: address in two halves, length in bytes, head, tail.
pub(super) const RECEIVE_RING: usize = 0x2800;
pub(super) const TRANSMIT_RING: usize = 0x3800;
pub(super) const RING_ADDRESS: [usize; 2] = [0x00, 0x04];
pub(super) const RING_LENGTH: usize = 0x08;
pub(super) const RING_HEAD: usize = 0x10;
pub(super) const RING_TAIL: usize = 0x18;

/// The NIC's Ethernet address in two halves; the second one has a mark that it is valid.
pub(super) const MAC: [usize; 2] = [0x5400, 0x5404];
pub(super) const MAC_VALID: u32 = 1 << 31;

/// Bytes of a descriptor. One to receive: address (8), length (2), checksum (2), status, errors. One to
/// send: address (8), length (2), checksum, command, status. The rest is zero.
pub(super) const DESCRIPTOR: usize = 16;
/// The command: the frame's end; with a checksum appended; to be reported.
pub(super) const SEND: u8 = 1 << 0 | 1 << 1 | 1 << 3;
/// The status, which the NIC writes: done, and for received ones the frame's end.
pub(super) const DESCRIPTOR_STATUS: usize = 12;
pub(super) const DONE: u8 = 1 << 0;
pub(super) const END: u8 = 1 << 1;
