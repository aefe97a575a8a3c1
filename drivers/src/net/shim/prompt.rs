// SPDX-License-Identifier: MIT OR Apache-2.0
//! A segment that has the stack send again at once what a router could not pass on.

use super::super::checksum::of_header;
use super::super::frame::ETHERNET_HEADER;
use super::headers::{ACK, TCP, Tuple, set, unmap};

/// An acknowledgement of what the peer has acknowledged before. The stack takes some of those for a loss (RFC
/// 5681, section 3.2), and does not wait for its timer, a second at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// The two ends as the stack knows them.
    pub(super) stack: Tuple,
    /// The peer's next sequence number.
    pub(super) sequence: u32,
    /// What it has acknowledged, as the stack counts.
    pub(super) acknowledged: u32,
    /// The window that the stack was told last.
    pub(super) window: u16,
}

impl Prompt {
    /// Writes it over the router's message in `frame`, from whom it then seems to come. That is longer, as it
    /// quotes as much: what is left is padding.
    pub(super) fn write(&self, frame: &mut [u8]) {
        let start = match (unmap(&self.stack.remote.address), unmap(&self.stack.local.address)) {
            (Some(source), Some(destination)) => write_ipv4(frame, source, destination),
            _ => self.write_ipv6(frame),
        };
        set(frame, start, self.stack.remote.port.to_be_bytes());
        set(frame, start + 2, self.stack.local.port.to_be_bytes());
        set(frame, start + 4, self.sequence.to_be_bytes());
        set(frame, start + 8, self.acknowledged.to_be_bytes());
        set(frame, start + 12, [5 << 4, ACK]);
        set(frame, start + 14, self.window.to_be_bytes());
        // The stack does not look at checksums.
        set(frame, start + 16, [0; 4]);
    }

    fn write_ipv6(&self, frame: &mut [u8]) -> usize {
        set(frame, ETHERNET_HEADER, [0x60, 0, 0, 0, 0, 20, TCP, 64]);
        set(frame, ETHERNET_HEADER + 8, self.stack.remote.address);
        set(frame, ETHERNET_HEADER + 24, self.stack.local.address);
        ETHERNET_HEADER + 40
    }
}

fn write_ipv4(frame: &mut [u8], source: [u8; 4], destination: [u8; 4]) -> usize {
    const DO_NOT_DIVIDE: u8 = 0x40;
    let [a, b, c, d] = source;
    let [e, f, g, h] = destination;
    let mut header = [0x45, 0, 0, 40, 0, 0, DO_NOT_DIVIDE, 0, 64, TCP, 0, 0, a, b, c, d, e, f, g, h];
    let checksum = of_header(&header);
    set(&mut header, 10, checksum.to_be_bytes());
    set(frame, ETHERNET_HEADER, header);
    ETHERNET_HEADER + header.len()
}
