// SPDX-License-Identifier: MIT OR Apache-2.0

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use prism_boot::{BootInfo, BootProtocol, Kind, PAGE_SIZE, PhysRange, e820};
use prism_fuzz::check_boot_info;
use prism_fuzz::fuzz_target;

/// Either any bytes, or entries in the lowest MiB, where a model can follow page by page.
#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Low(Vec<LowEntry>),
}

#[derive(Arbitrary, Debug)]
struct LowEntry {
    start: u16,
    length: u16,
    number: u8,
}

fuzz_target!(|input: Input<'_>| {
    let mut info = BootInfo::new(BootProtocol::Pvh);
    match input {
        Input::Bytes(table) => e820::parse(&mut info, table),
        Input::Low(entries) => check_against_model(&mut info, &entries),
    }
    check_boot_info(&info);
});

fn check_against_model(info: &mut BootInfo, entries: &[LowEntry]) {
    let mut table = Vec::new();
    let mut model = BTreeMap::new();
    for entry in entries {
        let (start, length) = (u64::from(entry.start) * 16, u64::from(entry.length) * 16);
        let kind = Kind::from_acpi(entry.number.into());
        table.extend([start, length].iter().flat_map(|number| number.to_le_bytes()));
        table.extend(u32::from(entry.number).to_le_bytes());
        claim(&mut model, PhysRange::with_length(start, length).unwrap(), kind);
    }
    e820::parse(info, &table);
    let regions = info.memory.iter();
    let pages = regions.flat_map(|region| page_numbers(region.range).map(move |page| (page, region.kind)));
    if info.memory.overflowed() {
        pages.for_each(|(page, kind)| assert!(kind != Kind::Usable || model[&page] == Kind::Usable));
    } else {
        assert_eq!(pages.collect::<BTreeMap<_, _>>(), model);
    }
}

/// Each page is of the strictest kind that was claimed for it.
fn claim(model: &mut BTreeMap<u64, Kind>, range: PhysRange, kind: Kind) {
    let whole = if kind == Kind::Usable { range.inward() } else { range.outward() };
    for page in page_numbers(whole) {
        let known = model.entry(page).or_insert(kind);
        *known = (*known).max(kind);
    }
}

fn page_numbers(range: PhysRange) -> std::ops::Range<u64> {
    range.start() / PAGE_SIZE..range.end() / PAGE_SIZE
}
