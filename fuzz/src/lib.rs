// SPDX-License-Identifier: MIT OR Apache-2.0
//! What fuzz targets are, and what each one of the boot code checks.

#![forbid(unsafe_code)]

use std::fmt::Display;

use arbitrary::{Arbitrary, Unstructured};
use prism_boot::{
    BootError, BootInfo, FrameAllocator, Kind, MemoryMap, PAGE_SIZE, PhysMemory, PhysRange, SliceMemory,
    frames,
};

/// A target: takes an input, and returns whether it was one.
pub type Run = fn(&[u8]) -> bool;

/// Makes the target of a file: what is done with an input that `arbitrary` makes of the fuzzer's bytes.
#[macro_export]
macro_rules! fuzz_target {
    (|$input:ident: $kind:ty| $body:block) => {
        pub(crate) fn fuzz(bytes: &[u8]) -> bool {
            fn fuzz_target($input: $kind) $body
            match $crate::input(bytes) {
                Some(input) => {
                    fuzz_target(input);
                    true
                }
                None => false,
            }
        }
    };
}

/// What the fuzzer's bytes stand for; `None` if there are too few.
pub fn input<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> Option<T> {
    let is_enough = bytes.len() >= T::size_hint(0).0;
    is_enough.then(|| T::arbitrary_take_rest(Unstructured::new(bytes)).ok())?
}

/// Memory that a fuzzer has written.
pub struct Memory {
    bytes: Vec<u8>,
    reach: Reach,
}

enum Reach {
    /// The bytes lie at one address and all else is unreadable.
    Once,
    /// The bytes are found again and again in the lowest TiB, so that most pointers lead somewhere.
    Mirrored,
}

/// Where the bytes lie that are found once.
const BASE: u64 = 0x1000;

impl Memory {
    /// The memory that `input` describes, and where the loader's structure lies in it, which is made
    /// to begin with `magic`.
    pub fn new(input: &[u8], magic: &[u8]) -> Option<(Self, u64)> {
        let (choice, bytes) = input.split_first()?;
        let mut bytes = bytes.to_vec();
        let offset = usize::from(choice >> 1) * 8 % bytes.len().max(1);
        bytes.get_mut(offset..offset + magic.len())?.copy_from_slice(magic);
        Some(match choice & 1 {
            0 => (Self { bytes, reach: Reach::Mirrored }, offset as u64),
            _ => (Self { bytes, reach: Reach::Once }, BASE + offset as u64),
        })
    }
}

impl PhysMemory for Memory {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        match self.reach {
            Reach::Once => SliceMemory { base: BASE, bytes: &self.bytes }.read(address, buf),
            Reach::Mirrored
                if self.bytes.is_empty() || address.saturating_add(buf.len() as u64) > 1 << 40 =>
            {
                false
            }
            Reach::Mirrored => {
                let start = (address % self.bytes.len() as u64) as usize;
                let from = self.bytes.iter().cycle().skip(start);
                buf.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                true
            }
        }
    }
}

/// Checks what a parser of a boot protocol made of its input.
pub fn check_outcome(outcome: Result<BootInfo, BootError>) {
    match outcome {
        Ok(info) => check_boot_info(&info),
        Err(error) => check_line(&error),
    }
}

/// Checks everything that is always true of a [`BootInfo`].
pub fn check_boot_info(info: &BootInfo) {
    check_map(&info.memory);
    check_map(&info.reserved);
    check_text(info.command_line.as_str());
    check_text(&info.loader);
    info.notes.iter().for_each(check_line);
    for module in &info.modules {
        check_text(&module.command_line);
        assert!(!module.range.is_empty());
        assert!(info.reserved.iter().any(|region| region.range.encloses(module.range)));
    }
    let free = info.free_memory();
    check_map(&free);
    for range in free.usable() {
        assert!(!info.reserved.overlaps(range) && !range.contains(0));
        assert!(info.memory.usable().any(|usable| usable.encloses(range)));
    }
    check_allocator(&free);
}

/// Checks that a map is sorted and normalised.
pub fn check_map<const N: usize>(map: &MemoryMap<N>) {
    for region in map.iter() {
        assert!(!region.range.is_empty());
        assert_eq!(region.range, region.range.inward());
    }
    for (low, high) in map.iter().zip(map.iter().skip(1)) {
        assert!(low.range.end() <= high.range.start());
        assert!(low.range.end() < high.range.start() || low.kind != high.kind);
    }
    let total: u64 =
        map.iter().filter(|region| region.kind == Kind::Usable).map(|region| region.range.len()).sum();
    assert_eq!(map.total_usable(), total);
}

/// Checks that an allocator over the map has exactly its frames.
fn check_allocator(map: &MemoryMap) {
    const LARGEST: u64 = 1 << 32;
    if map.usable_end() > LARGEST {
        return;
    }
    let words = frames::required_words(map.usable_end());
    let mut allocator = FrameAllocator::new(vec![0; words as usize], map).unwrap();
    assert_eq!(allocator.free_frames() * PAGE_SIZE, map.total_usable());
    let largest = allocator.largest_run();
    assert_eq!(largest * PAGE_SIZE, map.usable().map(PhysRange::len).max().unwrap_or(0));
    assert_eq!(allocator.allocate(largest + 1, 1), None);
    if let Some(start) = allocator.allocate(largest, 1) {
        let taken = PhysRange::frames(start.0, largest);
        assert!(map.usable().any(|range| range.encloses(taken)));
        allocator.free(start, largest).unwrap();
        assert!(allocator.free(start, largest).is_err());
    }
}

/// Checks that untrusted text can be printed without harm.
fn check_text(text: &str) {
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}

/// Checks that a message is one line.
pub fn check_line(message: &impl Display) {
    let line = message.to_string();
    assert!(!line.is_empty());
    check_text(&line);
}
