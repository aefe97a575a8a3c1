// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::SymbolTable;
use prism_boot::symbols::LONGEST;
use proptest::prelude::*;

/// A table of one block from this address on, with these rules and records.
fn blob(blocks: &[(u32, u32)], rules: &[[u16; 2]], records: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(rules.len()).unwrap().to_le_bytes().to_vec();
    body.extend(rules.as_flattened().iter().flat_map(|symbol| symbol.to_le_bytes()));
    body.extend(records);
    let mut blob = b"PRSMSYM2".to_vec();
    for number in [blocks.len(), body.len()] {
        blob.extend(u32::try_from(number).unwrap().to_le_bytes());
    }
    for (address, place) in blocks {
        blob.extend(address.to_le_bytes());
        blob.extend(place.to_le_bytes());
    }
    blob.extend(body);
    blob
}

/// `start` of 0x100 bytes, `main` of 0x7f, and what has no name.
const RECORDS: &[u8] = b"\x80\x02start\0\x7fmain\0\x10\0";

/// The name and the offset at an address.
fn lookup(blob: &[u8], address: u64) -> Option<(String, u64)> {
    SymbolTable::parse(blob).unwrap().lookup(address).map(|(name, offset)| (name.to_string(), offset))
}

#[test]
fn an_address_is_found_in_the_function_that_holds_it() {
    let blob = blob(&[(0x1000, 0), (0x2000, 8)], &[], RECORDS);
    let found = |name: &str, offset| Some((name.to_owned(), offset));
    assert_eq!(lookup(&blob, 0x0fff), None);
    assert_eq!(lookup(&blob, 0x1000), found("start", 0));
    assert_eq!(lookup(&blob, 0x10ff), found("start", 0xff));
    assert_eq!(lookup(&blob, 0x1101), found("main", 1));
    assert_eq!(lookup(&blob, 0x2001), found("main", 1));
}

#[test]
fn an_address_where_no_function_is_is_not_found() {
    let blob = blob(&[(0x1000, 0)], &[], RECORDS);
    assert_eq!(lookup(&blob, 0x117f), None);
    assert_eq!(lookup(&blob, 0x118f), None);
    assert_eq!(lookup(&blob, u64::MAX), None);
}

#[test]
fn names_are_written_out_by_their_rules() {
    let mut rules = vec![[b'a'.into(), b':'.into()], [0x80, b':'.into()], [0x81, 0x81]];
    rules.resize(65, [b'x'.into(), b'y'.into()]);
    // Rule 64 is the first one with two bytes.
    let blob = blob(&[(0x1000, 0)], &rules, b"\x04\x82b\xc0\x01\0");
    assert_eq!(lookup(&blob, 0x1003), Some(("a::a::bxy".to_owned(), 3)));
}

#[test]
fn an_unfinished_image_has_an_empty_table() {
    let blob = [b"PRSMSYM2".as_slice(), &[0; 8]].concat();
    assert!(SymbolTable::parse(&blob).unwrap().is_empty());
    assert_eq!(lookup(&blob, 0x1000), None);
}

#[test]
fn what_is_not_a_table_is_refused() {
    let good = blob(&[(0x1000, 0)], &[[0x61, 0x62]], RECORDS);
    assert!(SymbolTable::parse(&good[..good.len() - 1]).is_none());
    assert!(SymbolTable::parse(&[0; 64]).is_none());
    assert!(SymbolTable::parse(b"PRSMSYM2\xff\xff\xff\xff\xff\xff\xff\xff").is_none());
    assert!(SymbolTable::parse(b"PRSMSYM2\0\0\0\0\x02\0\0\0\x01\0").is_none());
    assert!(SymbolTable::parse(b"").is_none());
}

#[test]
fn a_record_that_is_cut_short_is_not_found() {
    for (place, records) in [(99, RECORDS), (0, b"\x04no end".as_slice()), (0, b"\x84".as_slice()), (0, b"")]
    {
        assert_eq!(lookup(&blob(&[(0x1000, place)], &[], records), 0x1000), None);
    }
}

#[test]
fn rules_of_themselves_and_names_without_end_come_to_an_end() {
    let own = blob(&[(0x1000, 0)], &[[0x80, 0x61], [0x81, 0x82], [0x61, 0x61]], b"\x04\x80\x81\x82\0");
    assert_eq!(lookup(&own, 0x1000), Some(("aa".to_owned(), 0)));
    let doubled: Vec<[u16; 2]> =
        (0x7f..0x8f).map(|before| if before < 0x80 { [0x61; 2] } else { [before; 2] }).collect();
    let long = blob(&[(0x1000, 0)], &doubled, b"\x04\x8f\0");
    assert_eq!(lookup(&long, 0x1000), Some(("a".repeat(LONGEST), 0)));
}

proptest! {
    #[test]
    fn any_table_can_be_looked_up(
        blocks in prop::collection::vec((any::<u32>(), 0..30_u32), 0..9),
        rules in prop::collection::vec(prop::array::uniform2(0..200_u16), 0..99),
        records in prop::collection::vec(any::<u8>(), 0..90),
        address in any::<u64>(),
    ) {
        let blob = blob(&blocks, &rules, &records);
        if let Some((name, offset)) = lookup(&blob, address) {
            prop_assert!(offset <= address && name.chars().count() <= LONGEST);
        }
    }
}
