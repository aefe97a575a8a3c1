// SPDX-License-Identifier: MIT OR Apache-2.0
/// Bytes of an Ethernet header.
const ETHERNET_HEADER: usize = 14;

/// A router's message that `frame` is too big for a network of `mtu`.
pub(crate) fn too_big(frame: &[u8], mtu: usize) -> Vec<u8> {
    let is_ipv4 = frame[ETHERNET_HEADER] >> 4 == 4;
    let quoted = &frame[ETHERNET_HEADER..];
    let quoted = &quoted[..quoted.len().min(if is_ipv4 { 28 } else { 600 })];
    let mut message = if is_ipv4 { vec![3, 4, 0, 0, 0, 0] } else { vec![2, 0, 0, 0] };
    match is_ipv4 {
        true => message.extend((mtu as u16).to_be_bytes()),
        false => message.extend((mtu as u32).to_be_bytes()),
    }
    message.extend(quoted);
    let mut answer = [&frame[6..12], &frame[..6], &frame[12..14]].concat();
    let (header, us) = if is_ipv4 {
        let mut header = vec![0x45, 0];
        header.extend((20 + message.len() as u16).to_be_bytes());
        header.extend([0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254]);
        header.extend(&frame[26..30]);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum);
        (header, Vec::new())
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((message.len() as u16).to_be_bytes());
        header.extend([58, 64]);
        header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254]);
        header.extend(&frame[22..38]);
        let pseudo = [&header[8..], &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
        (header, pseudo)
    };
    let sum = checksum(&[&us, &message]);
    message[2..4].copy_from_slice(&sum);
    answer.extend(header);
    answer.extend(message);
    answer
}

fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum >> 16 != 0 {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!(sum as u16)).to_be_bytes()
}
