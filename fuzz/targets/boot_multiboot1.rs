// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_boot::protocol::multiboot1;
use prism_fuzz::fuzz_target;
use prism_fuzz::{Memory, check_outcome};

fuzz_target!(|input: &[u8]| {
    if let Some((memory, address)) = Memory::new(input, b"") {
        check_outcome(multiboot1::parse(&memory, address));
    }
});
