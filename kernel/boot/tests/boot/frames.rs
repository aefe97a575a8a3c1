// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::BTreeSet;

use prism_boot::frames::{Absent, BitmapTooSmall, FreeError, floor_of, required_words, reserve_of};
use prism_boot::{FrameAllocator, FrameNumber, Kind, MemoryMap, PhysRange};
use proptest::prelude::*;

fn memory(ranges: &[(u64, u64)]) -> MemoryMap {
    let mut map = MemoryMap::new();
    for (first, count) in ranges {
        map.add(PhysRange::frames(*first, *count), Kind::Usable);
    }
    map
}

fn allocator(ranges: &[(u64, u64)]) -> FrameAllocator<Vec<u64>> {
    let map = memory(ranges);
    let words = usize::try_from(required_words(map.usable_end())).unwrap();
    FrameAllocator::new(vec![u64::MAX; words], &map).unwrap()
}

#[test]
fn sixty_four_gib_need_two_mib_of_bitmap() {
    assert_eq!(required_words(64 << 30) * 8, 2 << 20);
}

#[test]
fn a_bitmap_that_is_too_small_is_refused() {
    let refused = FrameAllocator::new(vec![0; 1], &memory(&[(0, 65)]));
    assert_eq!(refused.unwrap_err(), BitmapTooSmall { needed: 2, given: 1 });
}

#[test]
fn frames_come_lowest_first() {
    let mut frames = allocator(&[(3, 2), (200, 1)]);
    let taken: Vec<_> = std::iter::from_fn(|| frames.allocate(1, 1)).collect();
    assert_eq!(taken, [3, 4, 200].map(FrameNumber));
    assert_eq!(frames.free_frames(), 0);
}

#[test]
fn a_run_crosses_words_but_not_holes() {
    let mut frames = allocator(&[(0, 10), (11, 200)]);
    assert_eq!(frames.allocate(150, 1), Some(FrameNumber(11)));
}

#[test]
fn a_run_is_aligned_as_asked() {
    let mut frames = allocator(&[(1, 2000)]);
    assert_eq!(frames.allocate(512, 512), Some(FrameNumber(512)));
    assert_eq!(frames.allocate(1, 3), Some(FrameNumber(4)), "3 is rounded up to a power of two");
}

#[test]
fn the_reserve_is_left_to_allocations_that_cannot_fail() {
    let mut frames = allocator(&[(0, 640)]);
    let spare = std::iter::from_fn(|| frames.allocate_spare(1, 1)).count();
    assert_eq!((spare, frames.free_frames()), (620, 20));
    assert_eq!(frames.allocate_spare(0, 1), None);
    assert!(frames.allocate(20, 1).is_some());
    assert_eq!(frames.allocate_spare(1, 1), None);
}

#[test]
fn the_highest_frames_are_taken_one_after_the_other() {
    let mut frames = allocator(&[(0, 320), (1000, 320)]);
    assert_eq!(frames.allocate(1, 1), Some(FrameNumber(0)));
    let highest: Vec<u64> = std::iter::from_fn(|| frames.allocate_highest()).map(|frame| frame.0).collect();
    let all: Vec<u64> = (1000..1320).rev().chain((21..320).rev()).collect();
    assert_eq!(highest, all, "the reserve is left");
    frames.free(FrameNumber(1063), 1).unwrap();
    assert_eq!(frames.allocate_highest(), Some(FrameNumber(1063)));
    assert_eq!(allocator(&[]).allocate_highest(), None);
}

#[test]
fn withdrawn_frames_are_gone_until_they_are_put_back() {
    let mut frames = allocator(&[(0, 320), (1000, 320)]);
    let withdrawn: Vec<_> = std::iter::from_fn(|| frames.withdraw(630)).collect();
    assert_eq!(withdrawn, (1310..1320).rev().map(FrameNumber).collect::<Vec<_>>());
    assert_eq!((frames.free_frames(), frames.total_frames()), (630, 630));
    assert_eq!(frames.allocate(320, 1), Some(FrameNumber(0)));
    assert_eq!(frames.allocate(311, 1), None, "ten of them are not there");
    frames.put_back(FrameNumber(1310)).unwrap();
    assert_eq!((frames.free_frames(), frames.total_frames()), (311, 631));
    assert_eq!(frames.put_back(FrameNumber(1310)), Err(FreeError::NotAllocated { frame: FrameNumber(1310) }));
    let start = FrameNumber(500);
    assert_eq!(frames.put_back(start), Err(FreeError::NotMemory { start, count: 1 }));
    assert_eq!(frames.total_frames(), 631, "a mistake adds none");
    assert_eq!(frames.allocate(311, 1), Some(FrameNumber(1000)));
    assert_eq!(frames.withdraw(0), None);
}

#[test]
fn the_end_of_memory_can_be_withdrawn_at_once() {
    let mut frames = allocator(&[(0, 100), (200, 100)]);
    assert_eq!(frames.allocate(60, 1), Some(FrameNumber(0)));
    assert_eq!(frames.withdraw_range(PhysRange::frames(50, 240)), 40 + 90);
    assert_eq!((frames.free_frames(), frames.total_frames()), (10, 70));
    assert_eq!(frames.allocate(10, 1), Some(FrameNumber(290)));
}

#[test]
fn the_highest_frame_is_found_wherever_frames_were_freed() {
    let mut frames = allocator(&[(0, 1000)]);
    assert_eq!(frames.allocate(1000, 1), Some(FrameNumber(0)));
    for frame in [5, 700, 70, 999] {
        frames.free(FrameNumber(frame), 1).unwrap();
    }
    let withdrawn: Vec<_> = std::iter::from_fn(|| frames.withdraw(0)).collect();
    assert_eq!(withdrawn, [999, 700, 70, 5].map(FrameNumber));
    frames.put_back(FrameNumber(70)).unwrap();
    assert_eq!(frames.withdraw(0), Some(FrameNumber(70)));
}

#[test]
fn the_least_that_stays_free_is_small_where_memory_is() {
    let mib = 256;
    assert_eq!([0, 8, 32, 64, 4096].map(|size| floor_of(size * mib)), [0, 64 + 256, 1280, 1280, 1280]);
}

#[test]
fn absent_frames_are_taken_lowest_first() {
    let mut absent = Absent::new(vec![u64::MAX; 4], 256 * 4096).unwrap();
    assert_eq!((absent.take_lowest(), absent.count()), (None, 0));
    for (start, count) in [(200, 1), (3, 1), (130, 2), (3, 1), (256, 100), (u64::MAX, 1)] {
        absent.insert(FrameNumber(start), count);
    }
    assert_eq!(absent.count(), 4, "one was absent already, others are beyond all memory");
    assert_eq!(absent.run_from(FrameNumber(0)), Some((FrameNumber(3), 1)));
    assert_eq!(absent.run_from(FrameNumber(4)), Some((FrameNumber(130), 2)));
    assert_eq!(absent.run_from(FrameNumber(131)), Some((FrameNumber(131), 1)));
    assert_eq!(absent.run_from(FrameNumber(201)), None);
    assert_eq!(absent.run_from(FrameNumber(u64::MAX)), None);
    let taken: Vec<_> = std::iter::from_fn(|| absent.take_lowest()).collect();
    assert_eq!(taken, [3, 130, 131, 200].map(FrameNumber));
    assert_eq!(absent.count(), 0);
    assert!(Absent::new(vec![0; 4], 257 * 4096).is_err());
}

#[test]
fn one_large_request_does_not_reach_into_the_reserve() {
    let mut frames = allocator(&[(0, 640)]);
    assert_eq!(frames.allocate_spare(621, 1), None);
    assert_eq!(frames.allocate_spare(u64::MAX, 1), None);
    assert_eq!(frames.allocate_spare(620, 1), Some(FrameNumber(0)));
}

#[test]
fn the_reserve_is_small_where_memory_is() {
    assert_eq!([0, 31, 2048, 1 << 20].map(reserve_of), [0, 0, 64, 256]);
}

#[test]
fn frames_below_a_limit_end_at_it() {
    let mut frames = allocator(&[(0, 100)]);
    assert_eq!(frames.allocate_below(10, 1, FrameNumber(9)), None);
    assert_eq!(frames.allocate_below(10, 1, FrameNumber(10)), Some(FrameNumber(0)));
    assert_eq!(frames.allocate_below(1, 1, FrameNumber(10)), None);
}

#[test]
fn absurd_requests_are_refused() {
    let mut frames = allocator(&[(0, 100)]);
    for (count, align) in [(0, 1), (u64::MAX, 1), (101, 1), (1, u64::MAX)] {
        assert_eq!(frames.allocate(count, align), None);
    }
    assert_eq!(frames.free_frames(), 100);
}

#[test]
fn freeing_twice_is_an_error_and_changes_nothing() {
    let mut frames = allocator(&[(0, 100)]);
    let run = frames.allocate(10, 1).unwrap();
    frames.free(FrameNumber(4), 1).unwrap();
    assert_eq!(frames.free(run, 10), Err(FreeError::NotAllocated { frame: FrameNumber(4) }));
    assert_eq!(frames.free_frames(), 91);
}

#[test]
fn freeing_what_is_not_memory_is_an_error() {
    let mut frames = allocator(&[(0, 10), (20, 10)]);
    while frames.allocate(1, 1).is_some() {}
    for (start, count) in [(9, 2), (10, 1), (19, 2), (30, 1), (1 << 50, 1), (u64::MAX, 2)] {
        let start = FrameNumber(start);
        assert_eq!(frames.free(start, count), Err(FreeError::NotMemory { start, count }));
    }
    assert_eq!(frames.free_frames(), 0);
}

#[test]
fn reserved_frames_are_not_handed_out_until_they_are_freed() {
    let mut frames = allocator(&[(0, 3)]);
    assert_eq!(frames.reserve(PhysRange::new(1, 2).unwrap()), 1);
    assert_eq!(frames.reserve(PhysRange::frames(0, 1)), 0);
    assert_eq!(frames.allocate(1, 1), Some(FrameNumber(1)));
    frames.free(FrameNumber(0), 1).unwrap();
    assert_eq!(frames.allocate(1, 1), Some(FrameNumber(0)));
}

#[test]
fn reserving_beyond_all_memory_takes_nothing() {
    let mut frames = allocator(&[(0, 3)]);
    assert_eq!(frames.reserve(PhysRange::frames(1 << 30, 1 << 30)), 0);
    assert_eq!(frames.free_frames(), 3);
}

#[test]
fn an_allocator_of_no_memory_works() {
    let mut frames = allocator(&[]);
    assert_eq!(frames.allocate(1, 1), None);
    assert_eq!((frames.total_frames(), frames.largest_run()), (0, 0));
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate { count: u64, align: u64, limit: u64 },
    Free { start: u64, count: u64 },
    Reserve { start: u64, count: u64 },
}

const FRAMES: u64 = 300;

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (0..20_u64, 0..5_u32, 0..FRAMES + 50).prop_map(|(count, align, limit)| Operation::Allocate {
            count,
            align: 1 << align,
            limit
        }),
        (0..FRAMES + 10, 0..20_u64).prop_map(|(start, count)| Operation::Free { start, count }),
        (0..FRAMES + 10, 0..9_u64).prop_map(|(start, count)| Operation::Reserve { start, count }),
    ]
}

/// The allocator said the slow and obvious way.
struct Model {
    memory: BTreeSet<u64>,
    free: BTreeSet<u64>,
}

impl Model {
    fn allocate(&mut self, count: u64, align: u64, limit: u64) -> Option<FrameNumber> {
        let fits = |start: &u64| {
            start.is_multiple_of(align)
                && start + count <= limit
                && (*start..start + count).all(|frame| self.free.contains(&frame))
        };
        let start = (0..FRAMES).find(fits).filter(|_| count > 0)?;
        self.free.retain(|frame| !(start..start + count).contains(frame));
        Some(FrameNumber(start))
    }

    fn free(&mut self, start: u64, count: u64) -> bool {
        let frames: BTreeSet<u64> = (start..start + count).collect();
        let ours = frames.is_subset(&self.memory) && frames.is_disjoint(&self.free);
        if ours {
            self.free.extend(frames);
        }
        ours
    }

    fn largest_run(&self) -> u64 {
        let (mut run, mut largest) = (0, 0);
        for frame in 0..FRAMES {
            run = if self.free.contains(&frame) { run + 1 } else { 0 };
            largest = largest.max(run);
        }
        largest
    }
}

proptest! {
    #[test]
    fn the_allocator_does_what_a_set_of_frames_does(
        holes in prop::collection::btree_set(0..FRAMES, 0..6),
        operations in prop::collection::vec(operation(), 0..60),
    ) {
        let ranges: Vec<_> = (0..FRAMES).filter(|frame| !holes.contains(frame)).map(|frame| (frame, 1)).collect();
        let mut frames = allocator(&ranges);
        let memory: BTreeSet<u64> = ranges.iter().map(|(frame, _)| *frame).collect();
        let mut model = Model { free: memory.clone(), memory };
        for operation in operations {
            match operation {
                Operation::Allocate { count, align, limit } => prop_assert_eq!(
                    frames.allocate_below(count, align, FrameNumber(limit)),
                    model.allocate(count, align, limit)
                ),
                Operation::Free { start, count } => {
                    let freed = frames.free(FrameNumber(start), count).is_ok();
                    prop_assert!(count == 0 || freed == model.free(start, count));
                }
                Operation::Reserve { start, count } => {
                    let before = model.free.len();
                    model.free.retain(|frame| !(start..start + count).contains(frame));
                    let taken = frames.reserve(PhysRange::frames(start, count));
                    prop_assert_eq!(usize::try_from(taken).unwrap(), before - model.free.len());
                }
            }
            prop_assert_eq!(usize::try_from(frames.free_frames()).unwrap(), model.free.len());
            prop_assert_eq!(frames.largest_run(), model.largest_run());
            for frame in 0..FRAMES {
                prop_assert_eq!(frames.is_free(FrameNumber(frame)), model.free.contains(&frame));
            }
        }
    }
}
