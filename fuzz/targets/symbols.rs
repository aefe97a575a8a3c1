// SPDX-License-Identifier: MIT OR Apache-2.0
#![no_main]

use libfuzzer_sys::fuzz_target;
use prism_boot::SymbolTable;

fuzz_target!(|input: (u64, &[u8])| {
    let (address, blob) = input;
    let Some(table) = SymbolTable::parse(blob) else { return };
    assert!(table.len() <= blob.len() / 8);
    for address in [address, address & 0xffff_ffff, 0, u64::MAX] {
        if let Some((name, offset)) = table.lookup(address) {
            assert!(offset <= address && !name.is_empty());
            assert!(blob.windows(name.len()).any(|window| window == name.as_bytes()));
        }
    }
});
