// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::SymbolTable;
use proptest::prelude::*;

fn blob(entries: &[(u32, u32)], strings: &[u8]) -> Vec<u8> {
    let mut blob = b"PRSMSYM1".to_vec();
    blob.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
    blob.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
    for (address, name) in entries {
        blob.extend(address.to_le_bytes());
        blob.extend(name.to_le_bytes());
    }
    blob.extend(strings);
    blob
}

const STRINGS: &[u8] = b"start\0main\0\0";

#[test]
fn an_address_is_found_in_the_function_that_holds_it() {
    let blob = blob(&[(0x1000, 0), (0x1100, 6), (0x1200, 11)], STRINGS);
    let table = SymbolTable::parse(&blob).unwrap();
    assert_eq!(table.lookup(0x0fff), None);
    assert_eq!(table.lookup(0x1000), Some(("start", 0)));
    assert_eq!(table.lookup(0x10ff), Some(("start", 0xff)));
    assert_eq!(table.lookup(0x1101), Some(("main", 1)));
}

#[test]
fn an_address_behind_the_end_of_the_text_is_not_found() {
    let blob = blob(&[(0x1000, 0), (0x1200, 11)], STRINGS);
    let table = SymbolTable::parse(&blob).unwrap();
    assert_eq!(table.lookup(0x1200), None);
    assert_eq!(table.lookup(u64::MAX), None);
}

#[test]
fn an_unfinished_image_has_an_empty_table() {
    let blob = blob(&[], b"");
    let table = SymbolTable::parse(&blob).unwrap();
    assert!(table.is_empty());
    assert_eq!(table.lookup(0x1000), None);
}

#[test]
fn what_is_not_a_table_is_refused() {
    let good = blob(&[(0x1000, 0)], STRINGS);
    assert!(SymbolTable::parse(&good[..good.len() - 1]).is_none());
    assert!(SymbolTable::parse(&[0; 64]).is_none());
    assert!(SymbolTable::parse(b"PRSMSYM1\xff\xff\xff\xff\xff\xff\xff\xff").is_none());
    assert!(SymbolTable::parse(b"").is_none());
}

#[test]
fn a_name_that_is_broken_is_not_found() {
    for (name, strings) in [(99, STRINGS), (0, b"no end".as_slice()), (0, b"\xff\0".as_slice())] {
        let blob = blob(&[(0x1000, name)], strings);
        assert_eq!(SymbolTable::parse(&blob).unwrap().lookup(0x1000), None);
    }
}

proptest! {
    #[test]
    fn any_entries_can_be_looked_up(
        entries in prop::collection::vec((any::<u32>(), 0..30_u32), 0..9),
        strings in prop::collection::vec(any::<u8>(), 0..30),
        address in any::<u64>(),
    ) {
        let blob = blob(&entries, &strings);
        if let Some((_, offset)) = SymbolTable::parse(&blob).unwrap().lookup(address) {
            prop_assert!(offset <= address);
        }
    }
}
