// SPDX-License-Identifier: MIT OR Apache-2.0
//! Address resolution for IPv4 over Ethernet (RFC 826).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// Ethernet and IPv4, their addresses' lengths: what each packet begins with, behind the Ethernet header.
const KIND: [u8; 8] = [0x08, 0x06, 0, 1, 8, 0, 6, 4];

/// A frame by which `mac` tells all that it has `address` (RFC 5227, section 2.3): a question that nobody answers.
pub(super) fn announcement(mac: [u8; 6], address: Ipv4Addr) -> Vec<u8> {
    const REQUEST: [u8; 2] = [0, 1];
    let mut frame = Vec::from([0xff; 6]);
    frame.extend(mac);
    frame.extend(KIND);
    frame.extend(REQUEST);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_its_address_twice() {
        let frame = announcement([2, 0, 0, 0, 0, 1], [192, 0, 2, 1].into());
        assert_eq!(
            (frame.len(), &frame[28..32], &frame[38..42]),
            (42, &[192, 0, 2, 1][..], &[192, 0, 2, 1][..])
        );
    }
}
