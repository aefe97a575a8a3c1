// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frames by which tests of NICs tell that everything gets through.

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
