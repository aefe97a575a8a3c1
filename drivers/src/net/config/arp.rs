// SPDX-License-Identifier: MIT OR Apache-2.0
//! Address resolution for IPv4 over Ethernet (RFC 826).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// Ethernet and IPv4, their addresses' lengths: what each packet begins with, behind the Ethernet header.
const KIND: [u8; 8] = [0x08, 0x06, 0, 1, 8, 0, 6, 4];

/// A packet's addresses of IPv4, where they are in its frame.
pub(super) struct Addresses<'a> {
    pub(super) sender: &'a mut [u8; 4],
    pub(super) target: &'a mut [u8; 4],
}

/// The addresses in `frame`; `None` if that is something else.
pub(super) fn addresses(frame: &mut [u8]) -> Option<Addresses<'_>> {
    let [_, _, _, _, _, _, _, _, _, _, _, _, rest @ ..] = frame else { return None };
    let (kind, rest) = rest.split_first_chunk_mut::<8>()?;
    if *kind != KIND {
        return None;
    }
    // Operation and sender's Ethernet address; the sender; the target's Ethernet address; the target.
    let (_, rest) = rest.split_first_chunk_mut::<8>()?;
    let (sender, rest) = rest.split_first_chunk_mut::<4>()?;
    let (_, rest) = rest.split_first_chunk_mut::<6>()?;
    Some(Addresses { sender, target: rest.first_chunk_mut::<4>()? })
}

/// A frame by which `mac` tells all that it has `address` (RFC 5227, section 2.3): a question that nobody
/// answers.
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
        let mut frame = announcement([2, 0, 0, 0, 0, 1], [192, 0, 2, 1].into());
        assert_eq!(frame.len(), 42);
        let found = addresses(&mut frame).unwrap();
        assert_eq!((*found.sender, *found.target), ([192, 0, 2, 1], [192, 0, 2, 1]));
    }

    #[test]
    fn nothing_is_found_in_other_frames() {
        let frame = announcement([2, 0, 0, 0, 0, 1], [192, 0, 2, 1].into());
        for length in 0..frame.len() {
            assert!(addresses(&mut frame.clone()[..length]).is_none());
        }
        for place in 12..20 {
            let mut other = frame.clone();
            other[place] ^= 1;
            assert!(addresses(&mut other).is_none());
        }
    }
}
