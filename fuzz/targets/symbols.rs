// SPDX-License-Identifier: MIT OR Apache-2.0

use arbitrary::Arbitrary;
use prism_boot::SymbolTable;
use prism_boot::symbols::{LONGEST, MAGIC};
use prism_fuzz::fuzz_target;

/// Either any bytes behind the magic, or a table whose header is right.
#[derive(Arbitrary, Debug)]
enum Blob<'a> {
    Bytes(&'a [u8]),
    Table { blocks: Vec<(u32, u8)>, rules: Vec<(u8, u8)>, records: &'a [u8] },
}

fuzz_target!(|input: (u64, Blob<'_>)| {
    let (address, blob) = input;
    let blob = bytes(blob);
    let Some(table) = SymbolTable::parse(&blob) else { return };
    for address in [address, address & 0xffff_ffff, 0, u64::MAX] {
        if let Some((name, offset)) = table.lookup(address) {
            assert!(offset <= address && name.to_string().chars().count() <= LONGEST);
        }
    }
});

fn bytes(blob: Blob<'_>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    match blob {
        Blob::Bytes(rest) => bytes.extend(rest),
        Blob::Table { blocks, rules, records } => {
            let mut body = (rules.len() as u16).to_le_bytes().to_vec();
            let symbols = rules.iter().flat_map(|(first, second)| [u16::from(*first), u16::from(*second)]);
            body.extend(symbols.flat_map(u16::to_le_bytes));
            body.extend(records);
            bytes.extend((blocks.len() as u32).to_le_bytes());
            bytes.extend((body.len() as u32).to_le_bytes());
            let words = blocks.iter().flat_map(|(address, place)| [*address, u32::from(*place)]);
            bytes.extend(words.flat_map(u32::to_le_bytes));
            bytes.extend(body);
        }
    }
    bytes
}
