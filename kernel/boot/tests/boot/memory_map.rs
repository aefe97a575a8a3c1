// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::BTreeMap;

use prism_boot::{ADDRESS_LIMIT, BootInfo, BootProtocol, Kind, MemoryMap, PAGE_SIZE, PhysRange};
use proptest::prelude::*;

const KINDS: [Kind; 6] =
    [Kind::Usable, Kind::AcpiReclaimable, Kind::AcpiNvs, Kind::Persistent, Kind::Reserved, Kind::Unusable];

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(start, end).unwrap()
}

fn map<const N: usize>(entries: &[(PhysRange, Kind)]) -> MemoryMap<N> {
    let mut map = MemoryMap::new();
    for (range, kind) in entries {
        map.add(*range, *kind);
    }
    map
}

#[test]
fn usable_memory_shrinks_and_reserved_memory_grows_to_whole_pages() {
    let map = map::<8>(&[(range(0x1001, 0x3fff), Kind::Usable), (range(0x8001, 0x8002), Kind::Reserved)]);
    let regions: Vec<_> = map.iter().map(|region| (region.range, region.kind)).collect();
    assert_eq!(regions, [(range(0x2000, 0x3000), Kind::Usable), (range(0x8000, 0x9000), Kind::Reserved)]);
}

#[test]
fn usable_memory_smaller_than_a_page_is_left_out() {
    assert!(map::<8>(&[(range(0x1001, 0x1fff), Kind::Usable)]).is_empty());
}

#[test]
fn a_reserved_hole_splits_usable_memory_whichever_comes_first() {
    let (ram, hole) = ((range(0, 0x10000), Kind::Usable), (range(0x4000, 0x5000), Kind::Reserved));
    let (one, other) = (map::<8>(&[ram, hole]), map::<8>(&[hole, ram]));
    assert_eq!(one, other);
    assert_eq!(one.usable().collect::<Vec<_>>(), [range(0, 0x4000), range(0x5000, 0x10000)]);
}

#[test]
fn the_highest_usable_memory_is_found() {
    let map: MemoryMap = map(&[
        (range(0x1000, 0x5000), Kind::Usable),
        (range(0x5000, 0x7000), Kind::Reserved),
        (range(0x7000, 0x9000), Kind::Usable),
    ]);
    let highest = |bytes| map.highest(bytes).collect::<Vec<_>>();
    assert_eq!(highest(0), []);
    assert_eq!(highest(0xfff), []);
    assert_eq!(highest(0x1fff), [range(0x8000, 0x9000)]);
    assert_eq!(highest(0x2000), [range(0x7000, 0x9000)]);
    assert_eq!(highest(0x3000), [range(0x7000, 0x9000), range(0x4000, 0x5000)]);
    assert_eq!(highest(u64::MAX), [range(0x7000, 0x9000), range(0x1000, 0x5000)]);
}

#[test]
fn memory_that_is_not_there_stays_in_the_map_unless_it_is_too_much() {
    let mut info = BootInfo::new(BootProtocol::Pvh);
    info.memory = map(&[(range(0, 0x10_0000), Kind::Usable), (range(0x20_0000, 0x1000_0000), Kind::Usable)]);
    info.leave_unpopulated(0x200_0000);
    assert_eq!((info.memory.usable_end(), info.populated()), (0x1000_0000, 0x200_0000));
    info.leave_unpopulated(0x4000);
    assert_eq!((info.memory.total_usable(), info.memory.usable_end()), (0x40_0000, 0x50_0000));
    assert_eq!((info.unpopulated, info.populated()), (0x3f_c000, 0x4000));
}

#[test]
fn neighbours_of_one_kind_become_one_region() {
    let parts = [range(0, 0x1000), range(0x2000, 0x3000), range(0x1000, 0x2000)];
    let map = map::<8>(&parts.map(|part| (part, Kind::Usable)));
    assert_eq!(map.usable().collect::<Vec<_>>(), [range(0, 0x3000)]);
}

#[test]
fn the_smallest_usable_region_is_given_up_first() {
    let ram = |start: u64, end: u64| (range(start, end), Kind::Usable);
    let map =
        map::<3>(&[ram(0, 0x4000), ram(0x10000, 0x11000), ram(0x20000, 0x24000), ram(0x30000, 0x34000)]);
    assert!(map.overflowed());
    assert_eq!(
        map.usable().collect::<Vec<_>>(),
        [range(0, 0x4000), range(0x20000, 0x24000), range(0x30000, 0x34000)]
    );
}

#[test]
fn a_full_map_of_reserved_regions_closes_the_smallest_gap() {
    let holes = [(0x10000, 0x11000), (0x30000, 0x31000), (0x33000, 0x34000), (0x50000, 0x51000)];
    let map = map::<3>(&holes.map(|(start, end)| (range(start, end), Kind::Reserved)));
    assert!(map.overflowed());
    let regions: Vec<_> = map.iter().map(|region| region.range).collect();
    assert_eq!(regions, [range(0x10000, 0x11000), range(0x30000, 0x34000), range(0x50000, 0x51000)]);
}

#[test]
fn a_full_map_drops_the_smaller_region() {
    let reserved = |start: u64, end: u64| (range(start, end), Kind::Reserved);
    let ram = (range(0xb000, 0xf000), Kind::Usable);
    let entries = |gap: u64| {
        [reserved(0x10000, 0x11000), ram, reserved(0x11000 + gap, 0x30000), reserved(0x60000, 0x61000)]
    };
    let ranges = |map: MemoryMap<3>| map.iter().map(|region| region.range).collect::<Vec<_>>();
    let gap_closed = [range(0xb000, 0xf000), range(0x10000, 0x30000), range(0x60000, 0x61000)];
    assert_eq!(ranges(map(&entries(0x3000))), gap_closed);
    let ram_forgotten = [range(0x10000, 0x11000), range(0x16000, 0x30000), range(0x60000, 0x61000)];
    assert_eq!(ranges(map(&entries(0x5000))), ram_forgotten);
}

#[test]
fn a_closed_gap_is_of_the_stricter_kind_around_it() {
    let at = |page: u64| range(page * 0x1000, page * 0x1000 + 0x1000);
    let map = map::<2>(&[(at(10), Kind::Unusable), (at(12), Kind::AcpiNvs), (at(30), Kind::Reserved)]);
    assert_eq!(map.region_of(11 * 0x1000).map(|region| region.kind), Some(Kind::Unusable));
}

#[test]
fn ranges_that_wrap_or_lie_beyond_all_memory_cannot_be_made() {
    assert_eq!(PhysRange::with_length(u64::MAX, 2), None);
    assert_eq!(PhysRange::with_length(ADDRESS_LIMIT, 1), None);
    assert_eq!(PhysRange::new(2, 1), None);
    assert!(PhysRange::with_length(ADDRESS_LIMIT, 0).is_some());
}

#[test]
fn the_last_page_of_all_memory_can_be_described() {
    let last = range(ADDRESS_LIMIT - 1, ADDRESS_LIMIT);
    assert_eq!(last.outward(), range(ADDRESS_LIMIT - PAGE_SIZE, ADDRESS_LIMIT));
    assert!(last.inward().is_empty());
}

#[test]
fn a_place_is_found_where_it_fits_below_the_limit() {
    let map = map::<8>(&[(range(0x1000, 0x2000), Kind::Usable), (range(0x8000, 0x10000), Kind::Usable)]);
    assert_eq!(map.find(0x1001, u64::MAX), Some(range(0x8000, 0xa000)));
    assert_eq!(map.find(0x1000, u64::MAX), Some(range(0x1000, 0x2000)));
    assert_eq!(map.find(0x1001, 0x9fff), None);
    assert_eq!(map.find(0x1001, 0xa000), Some(range(0x8000, 0xa000)));
    assert_eq!(map.find(u64::MAX, u64::MAX), None);
}

fn entry() -> impl Strategy<Value = (PhysRange, Kind)> {
    let bytes = 40 * PAGE_SIZE;
    (0..bytes, 0..bytes / 4, prop::sample::select(&KINDS[..]))
        .prop_map(|(start, length, kind)| (PhysRange::with_length(start, length).unwrap(), kind))
}

/// What each page is, said the slow and obvious way.
fn model(entries: &[(PhysRange, Kind)]) -> BTreeMap<u64, Kind> {
    let mut pages = BTreeMap::new();
    for (range, kind) in entries {
        let whole = if *kind == Kind::Usable { range.inward() } else { range.outward() };
        for page in whole.start() / PAGE_SIZE..whole.end() / PAGE_SIZE {
            let known = pages.entry(page).or_insert(*kind);
            *known = (*known).max(*kind);
        }
    }
    pages
}

fn pages<const N: usize>(map: &MemoryMap<N>) -> BTreeMap<u64, Kind> {
    let pages_of = |range: PhysRange| range.start() / PAGE_SIZE..range.end() / PAGE_SIZE;
    map.iter().flat_map(|region| pages_of(region.range).map(move |page| (page, region.kind))).collect()
}

fn assert_normalised<const N: usize>(map: &MemoryMap<N>) {
    for region in map.iter() {
        assert!(!region.range.is_empty() && region.range == region.range.inward());
    }
    for (low, high) in map.iter().zip(map.iter().skip(1)) {
        assert!(low.range.end() <= high.range.start(), "{low:?} and {high:?} overlap");
        assert!(
            low.range.end() < high.range.start() || low.kind != high.kind,
            "{low:?} and {high:?} are one"
        );
    }
}

proptest! {
    #[test]
    fn every_page_is_of_the_strictest_kind_claimed(entries in prop::collection::vec(entry(), 0..20)) {
        let map = map::<128>(&entries);
        assert_normalised(&map);
        prop_assert!(!map.overflowed());
        prop_assert_eq!(pages(&map), model(&entries));
    }

    #[test]
    fn the_order_of_entries_does_not_matter(
        (entries, shuffled) in prop::collection::vec(entry(), 0..20)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle()))
    ) {
        prop_assert_eq!(map::<128>(&entries), map::<128>(&shuffled));
    }

    #[test]
    fn an_overflowing_map_never_makes_a_page_usable(entries in prop::collection::vec(entry(), 0..40)) {
        let map = map::<4>(&entries);
        assert_normalised(&map);
        let model = model(&entries);
        for (page, kind) in pages(&map) {
            prop_assert!(kind != Kind::Usable || model.get(&page) == Some(&Kind::Usable));
        }
        if !map.overflowed() {
            prop_assert_eq!(pages(&map), model);
        }
    }

    #[test]
    fn subtracting_takes_exactly_the_touched_pages_out_of_the_usable_ones(
        entries in prop::collection::vec(entry(), 0..20),
        (hole, _) in entry(),
    ) {
        let mut map = map::<128>(&entries);
        let mut expected = pages(&map);
        map.subtract(hole);
        let touched = hole.outward();
        expected.retain(|page, kind| *kind != Kind::Usable || !touched.contains(page * PAGE_SIZE));
        assert_normalised(&map);
        prop_assert_eq!(pages(&map), expected);
    }
}

#[test]
fn a_gap_lies_outside_of_all_regions_and_below_the_limit() {
    const GIB: u64 = 1 << 30;
    let gap = |regions: &[(PhysRange, Kind)], bits: u32| {
        map::<8>(regions).gap(GIB, 32 * GIB, 1 << bits).map(|gap| gap.start() / GIB)
    };
    let usable = |start, end| (range(start * GIB, end * GIB), Kind::Usable);
    let reserved = |start, end| (range(start * GIB, end * GIB), Kind::Reserved);
    assert_eq!(gap(&[usable(0, 4)], 36), Some(32));
    assert_eq!(gap(&[usable(0, 40)], 36), Some(40), "and not 64, which no 36 bits hold");
    assert_eq!(gap(&[usable(0, 64)], 36), None);
    assert_eq!(gap(&[(range(0, 33 * GIB + 4096), Kind::Usable)], 36), Some(34));
    // What AMD's processors keep for HyperTransport ends at 2 to the power of 40.
    assert_eq!(gap(&[usable(0, 4), reserved(1012, 1024)], 40), Some(32));
    assert_eq!(gap(&[usable(0, 33), reserved(32, 35), usable(35, 36)], 40), Some(36));
    assert_eq!(gap(&[(range(0, 1 << 52), Kind::Reserved)], 52), None);
}
