// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers that are used (section 5), as offsets from the first port, and what is in them.

/// Ports of a nic: those that the first base address register decodes (IOAR, section 7).
pub const LENGTH: u16 = 0x100;

/// The Ethernet address, six bytes in two registers.
pub(super) const MAC: [u16; 2] = [0x00, 0x04];
/// The hash filter of addresses of many: all ones lets all through.
pub(super) const FILTER: [u16; 2] = [0x08, 0x0c];
/// Status of the first of the four senders; the others follow.
pub(super) const SENDER_STATUS: u16 = 0x10;
/// The host has the buffer: it was sent, or given up.
pub(super) const SENDER_OURS: u32 = 1 << 13;
/// Sending begins when the NIC has fetched so many bytes: 8 times 32.
pub(super) const SENDER_EARLY: u32 = 8 << 16;
/// Where the first sender's buffer is; the others follow.
pub(super) const SENDER_ADDRESS: u16 = 0x20;
/// Where the ring is.
pub(super) const RING_START: u16 = 0x30;
pub(super) const COMMAND: u16 = 0x37;
pub(super) const RESET: u8 = 1 << 4;
pub(super) const ON: u8 = 1 << 3 | 1 << 2;
pub(super) const RING_EMPTY: u8 = 1 << 0;
/// Up to where the ring has been read, less [`READ_AHEAD`].
pub(super) const RING_READ: u16 = 0x38;
pub(super) const READ_AHEAD: u16 = 16;
/// Causes that interrupt; causes there are, each taken back by a one.
pub(super) const ENABLE: u16 = 0x3c;
pub(super) const CAUSES: u16 = 0x3e;
pub(super) const RECEIVED: u16 = 1 << 0 | 1 << 1;
pub(super) const SENT: u16 = 1 << 2 | 1 << 3;
/// The ring, or the NIC's own memory, was full.
pub(super) const OVERRUN: u16 = 1 << 4 | 1 << 6;
pub(super) const LINK_CHANGED: u16 = 1 << 5;
pub(super) const TRANSMIT: u16 = 0x40;
/// The gaps between frames that the standard asks for; bursts of up to 1 KiB.
pub(super) const TRANSMIT_ON: u32 = 3 << 24 | 6 << 8;
pub(super) const RECEIVE: u16 = 0x44;
/// Frames to us, to many, to all; a ring of 32 KiB; bursts of any length; each frame as a whole.
pub(super) const RECEIVE_ON: u32 = 7 << 13 | 2 << 11 | 7 << 8 | 1 << 3 | 1 << 2 | 1 << 1;
pub(super) const MEDIA: u16 = 0x58;
pub(super) const LINK_DOWN: u8 = 1 << 2;

/// A frame's header in the ring: its status, and its length with the checksum behind it.
pub(super) const HEADER: usize = 4;
pub(super) const GOOD: u16 = 1 << 0;
/// Bytes of a frame's own checksum.
pub(super) const CHECKSUM: usize = 4;
