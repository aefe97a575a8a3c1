// SPDX-License-Identifier: MIT OR Apache-2.0

use arbitrary::Arbitrary;
use prism_boot::SymbolTable;
use prism_boot::symbols::MAGIC;
use prism_fuzz::fuzz_target;

/// Either any bytes behind the magic, or a table whose header is right.
#[derive(Arbitrary, Debug)]
enum Blob<'a> {
    Bytes(&'a [u8]),
    Table { entries: Vec<(u32, u8)>, strings: &'a [u8] },
}

fuzz_target!(|input: (u64, Blob<'_>)| {
    let (address, blob) = input;
    let blob = bytes(blob);
    let Some(table) = SymbolTable::parse(&blob) else { return };
    assert!(table.len() <= blob.len() / 8);
    for address in [address, address & 0xffff_ffff, 0, u64::MAX] {
        if let Some((name, offset)) = table.lookup(address) {
            assert!(offset <= address && !name.is_empty());
            assert!(blob.windows(name.len()).any(|window| window == name.as_bytes()));
        }
    }
});

fn bytes(blob: Blob<'_>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    match blob {
        Blob::Bytes(rest) => bytes.extend(rest),
        Blob::Table { entries, strings } => {
            bytes.extend((entries.len() as u32).to_le_bytes());
            bytes.extend((strings.len() as u32).to_le_bytes());
            let words = entries.iter().flat_map(|(address, name)| [*address, u32::from(*name)]);
            bytes.extend(words.flat_map(u32::to_le_bytes));
            bytes.extend(strings);
        }
    }
    bytes
}
