// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_boot::protocol::pvh;
use prism_fuzz::fuzz_target;
use prism_fuzz::{Memory, check_outcome};

fuzz_target!(|input: &[u8]| {
    if let Some((memory, address)) = Memory::new(input, &0x336e_c578_u32.to_le_bytes()) {
        check_outcome(pvh::parse(&memory, address));
    }
});
