// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_drivers::net::Transport;
use prism_fuzz::fuzz_target;

fuzz_target!(|input: Vec<u8>| {
    let Some(transport) = Transport::find(&input) else { return };
    let mut frame = input.clone();
    transport.fill_checksum(&mut frame);
    assert!(transport.verify_checksum(&frame));
    assert_eq!(Transport::find(&frame), Some(transport), "only the checksum is written");
    let changed = frame.iter().zip(&input).filter(|(new, old)| new != old).count();
    assert!(frame.len() == input.len() && changed <= 2);
    transport.blank(&mut frame);
    transport.fill_checksum(&mut frame);
    assert!(transport.verify_checksum(&frame));
});
