// SPDX-License-Identifier: MIT OR Apache-2.0

use arbitrary::Arbitrary;
use prism_boot::frames::{FreeError, required_words};
use prism_boot::{FrameAllocator, FrameNumber, Kind, MemoryMap, PhysRange};
use prism_fuzz::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// First frame and number of frames.
    memory: Vec<(u8, u8)>,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Allocate { count: u8, align: u8, limit: u16 },
    AllocateAbsurd { count: u64, align: u64, limit: u64 },
    Free { start: u16, count: u8 },
    FreeAbsurd { start: u64, count: u64 },
    Reserve { start: u16, count: u8 },
}

/// What the allocator should do, said the slow and obvious way.
struct Model {
    ours: [bool; FRAMES],
    free: [bool; FRAMES],
}

/// More than a map of bytes can describe.
const FRAMES: usize = 512;

fuzz_target!(|input: Input| {
    let mut map = MemoryMap::new();
    for (start, count) in &input.memory {
        map.add(PhysRange::frames((*start).into(), (*count).into()), Kind::Usable);
    }
    let words = required_words(map.usable_end()) as usize;
    let mut frames = FrameAllocator::new(vec![0; words], &map).unwrap();
    let mut model = Model { ours: [false; FRAMES], free: [false; FRAMES] };
    for range in map.usable() {
        model.ours[FrameNumber::of(range.start()).0 as usize..FrameNumber::of(range.end()).0 as usize]
            .fill(true);
    }
    model.free = model.ours;
    for operation in input.operations {
        step(&mut frames, &mut model, operation);
        assert_eq!(frames.free_frames(), model.free.iter().filter(|free| **free).count() as u64);
    }
    for frame in 0..FRAMES {
        assert_eq!(frames.is_free(FrameNumber(frame as u64)), model.free[frame]);
    }
    let runs = model.free.split(|free| !free).map(|run| run.len() as u64);
    assert_eq!(frames.largest_run(), runs.max().unwrap_or(0));
});

fn step(frames: &mut FrameAllocator<Vec<u64>>, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Allocate { count, align, limit } => {
            allocate(frames, model, count.into(), align.into(), limit.into())
        }
        Operation::AllocateAbsurd { count, align, limit } => allocate(frames, model, count, align, limit),
        Operation::Free { start, count } => free(frames, model, start.into(), count.into()),
        Operation::FreeAbsurd { start, count } => free(frames, model, start, count),
        Operation::Reserve { start, count } => {
            let range = PhysRange::frames(start.into(), count.into());
            let inside =
                usize::from(start).min(FRAMES)..(usize::from(start) + usize::from(count)).min(FRAMES);
            let free = &mut model.free[inside];
            assert_eq!(frames.reserve(range), free.iter().filter(|free| **free).count() as u64);
            free.fill(false);
        }
    }
}

fn allocate(frames: &mut FrameAllocator<Vec<u64>>, model: &mut Model, count: u64, align: u64, limit: u64) {
    let expected = model.find(count, align, limit);
    assert_eq!(
        frames.allocate_below(count, align, FrameNumber(limit)),
        expected.map(|start| FrameNumber(start as u64))
    );
    if let Some(start) = expected {
        model.free[start..start + count as usize].fill(false);
    }
}

fn free(frames: &mut FrameAllocator<Vec<u64>>, model: &mut Model, start: u64, count: u64) {
    let freed = frames.free(FrameNumber(start), count);
    let end = start.saturating_add(count).min(FRAMES as u64) as usize;
    let start = (start as usize).min(end);
    match freed {
        Ok(()) => {
            assert!((start..end).all(|frame| model.ours[frame] && !model.free[frame]));
            assert_eq!((end - start) as u64, count);
            model.free[start..end].fill(true);
        }
        Err(FreeError::NotMemory { .. }) => {
            assert!(((end - start) as u64) < count.max(1) || (start..end).any(|frame| !model.ours[frame]));
        }
        Err(FreeError::NotAllocated { frame }) => assert!(model.free[frame.0 as usize]),
    }
}

impl Model {
    fn find(&self, count: u64, align: u64, limit: u64) -> Option<usize> {
        let align = usize::try_from(align.checked_next_power_of_two()?).ok()?;
        let count = usize::try_from(count).ok().filter(|count| (1..=FRAMES).contains(count))?;
        let end = FRAMES.min(usize::try_from(limit).ok()?);
        let starts = (0..FRAMES).step_by(align).take_while(|start| start + count <= end);
        starts.into_iter().find(|start| self.free[*start..start + count].iter().all(|free| *free))
    }
}
