// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frames by which tests tell that everything gets through.

use alloc::vec;
use alloc::vec::Vec;

use super::{Error, MAX_FRAME, NetDevice};

/// A frame of a protocol without checksums; frames of other numbers have other contents.
pub(crate) fn frame(number: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| if index < 14 { 0x42 } else { (index / 512 * 7 + index + number) as u8 })
        .collect()
}

/// The next frame that a NIC received.
pub(crate) fn receive(nic: &mut impl NetDevice) -> Result<Option<Vec<u8>>, Error> {
    let mut buffer = vec![0; MAX_FRAME];
    Ok(nic.receive(&mut buffer)?.map(|length| buffer[..length].to_vec()))
}

/// A TCP segment over IPv4 from 192.0.2.1 to 192.0.2.2 with `payload`, without a checksum.
pub(crate) fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0, 80, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}
