// SPDX-License-Identifier: MIT OR Apache-2.0
//! FAT file systems that were made right and then damaged, where their structure is: what is listed and read
//! of them is files or errors, in bounded memory and reads.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use embedded_io::{ErrorKind, ErrorType, Read, Seek, SeekFrom, Write};
use hadris_fat::format::{FatFormatOptions, FatTypeSelection, FatVolumeFormatter};
use hadris_fat::{FatVolume, FatVolumeWriteExt};
use prism_fat::{BOOT_SECTOR, Layout, Runs};

/// Bytes that a damaged file system may take at once, beside its disk.
const MEMORY: usize = 4 << 20;

/// What a lookup may read, as in `prism-fs`, but for smaller disks.
const LOOKUP: u64 = 4 << 20;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Memory) -> *mut u8 {
        let taken = TAKEN.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(taken, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Memory) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// A disk in memory, of which no more is read than the budget has.
struct Disk {
    bytes: Rc<RefCell<Vec<u8>>>,
    at: u64,
    budget: Rc<Cell<u64>>,
}

impl Disk {
    fn new(bytes: &Rc<RefCell<Vec<u8>>>) -> Self {
        Self { bytes: Rc::clone(bytes), at: 0, budget: Rc::new(Cell::new(u64::MAX)) }
    }

    /// How many of `wanted` bytes there are from here on, and where.
    fn here(&self, wanted: usize) -> std::ops::Range<usize> {
        let length = self.bytes.borrow().len();
        let start = usize::try_from(self.at).map_or(length, |at| at.min(length));
        start..start + wanted.min(length - start)
    }
}

impl ErrorType for Disk {
    type Error = ErrorKind;
}

impl Read for Disk {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        let here = self.here(into.len());
        let count = here.len();
        self.budget.set(self.budget.get().checked_sub(count as u64).ok_or(ErrorKind::Other)?);
        into[..count].copy_from_slice(&self.bytes.borrow()[here]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Disk {
    fn write(&mut self, from: &[u8]) -> Result<usize, ErrorKind> {
        let here = self.here(from.len());
        let count = here.len();
        self.bytes.borrow_mut()[here].copy_from_slice(&from[..count]);
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, ErrorKind> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => (self.bytes.borrow().len() as u64).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

const FOLDER: &str = "some long name of a folder";

fn make(kind: FatTypeSelection, length: usize) -> Vec<u8> {
    let bytes = Rc::new(RefCell::new(vec![0; length]));
    let options = FatFormatOptions::new(length as u64).fat_type(kind);
    let volume = FatVolumeFormatter::format(Disk::new(&bytes), options).unwrap();
    let root = volume.root_dir();
    let folder = volume.create_dir(&root, FOLDER).unwrap();
    let long = [7; 40_000];
    for (directory, name, content) in
        [(&root, "small.txt", &b"small"[..]), (&folder, "file of some length", &long), (&folder, "A", b"A")]
    {
        let entry = volume.create_file(directory, name).unwrap();
        let mut writer = volume.write_file(&entry).unwrap();
        let mut rest = content;
        while !rest.is_empty() {
            rest = &rest[writer.write(rest).unwrap()..];
        }
        writer.finish().unwrap();
    }
    bytes.take()
}

/// Uses all that there is; how many bytes of files were found.
fn use_all(image: Vec<u8>) -> Option<u64> {
    let (length, boot) = (image.len() as u64, *image.first_chunk::<BOOT_SECTOR>()?);
    let bytes = Rc::new(RefCell::new(image));
    let disk = Disk::new(&bytes);
    let budget = Rc::clone(&disk.budget);
    budget.set(LOOKUP);
    let volume = FatVolume::open(disk).ok()?;
    let layout = Layout::parse(&boot)?;
    for path in ["", FOLDER] {
        budget.set(LOOKUP);
        let directory = if path.is_empty() { Ok(volume.root_dir()) } else { volume.open_dir_path(path) };
        let Ok(directory) = directory else { continue };
        let mut entries = directory.entries();
        while let Some(Ok(entry)) = entries.next_entry() {
            let _ = entry.name().into_owned();
        }
    }
    let mut read = 0;
    for path in ["small.txt", &format!("{FOLDER}/file of some length"), &format!("{FOLDER}/A"), "B"] {
        budget.set(LOOKUP);
        let Ok(entry) = volume.open_path(path) else { continue };
        if !entry.is_file() || entry.len() > length {
            continue;
        }
        let (clusters, first) = (layout.clusters(entry.len()), u32::try_from(entry.cluster().0));
        let (Some(clusters), Ok(first)) = (clusters, first) else { continue };
        let (mut runs, mut table, mut index) = (Runs::new(first, clusters), Disk::new(&bytes), 0);
        while index < clusters {
            let next = |cluster: u32| volume.fat().next_cluster(&mut table, cluster as usize);
            match runs.find(index, clusters - index, next) {
                Ok(Some(extent)) if extent.count > 0 && layout.offset(extent.cluster).is_some() => {
                    read += u64::from(extent.count) * layout.cluster;
                    index += extent.count;
                }
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => break,
            }
        }
    }
    Some(read)
}

/// xorshift64*, by Marsaglia and Vigna.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// Changes some fields: of the boot sector, or of what else is not empty and no file.
fn damage(image: &mut [u8], places: &[usize], random: &mut Random) {
    const NUMBERS: [u32; 13] =
        [0, 1, 2, 3, 0x7f, 0xff, 0xfff, 0xffff, 0x0fff_ffff, u32::MAX, 0xe5, 0x0f, 0x10];
    for _ in 0..=random.below(4) {
        let place = if random.below(3) == 0 { random.below(96) } else { places[random.below(places.len())] };
        let (number, length) = (NUMBERS[random.below(NUMBERS.len())], [1, 2, 4][random.below(3)]);
        let Some(field) = image.get_mut(place..place + length) else { continue };
        field.copy_from_slice(&number.to_le_bytes()[..length]);
    }
}

/// What was told of the last panic.
static LAST: Mutex<String> = Mutex::new(String::new());

fn play(kind: FatTypeSelection, length: usize, rounds: usize) {
    let image = make(kind, length);
    assert!(use_all(image.clone()).is_some_and(|read| read >= 40_006), "{kind:?}");
    let is_said = |(_, byte): &(usize, &u8)| !matches!(byte, 0 | 7);
    let places: Vec<usize> = image.iter().enumerate().filter(is_said).map(|(place, _)| place).collect();
    panic::set_hook(Box::new(|told| *LAST.lock().unwrap() = told.to_string()));
    let mut news = Vec::new();
    for seed in 1..=rounds {
        let mut damaged = image.clone();
        damage(&mut damaged, &places, &mut Random(seed as u64 * 0x9e37_79b9));
        let before = TAKEN.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        if panic::catch_unwind(AssertUnwindSafe(|| use_all(damaged))).is_err() {
            news.push(format!("seed {seed}: {}", LAST.lock().unwrap()));
        }
        let taken = MOST.load(Ordering::Relaxed) - before;
        if taken > MEMORY {
            news.push(format!("seed {seed}: {taken} bytes taken"));
        }
    }
    let _ = panic::take_hook();
    assert!(news.is_empty(), "{kind:?}: {news:#?}");
}

/// One after the other: they share what counts memory.
#[test]
fn damaged_file_systems_are_errors_in_bounded_memory() {
    let rounds = std::env::var("ROUNDS").map_or(400, |rounds| rounds.parse().unwrap());
    play(FatTypeSelection::Fat12, 1 << 20, rounds);
    play(FatTypeSelection::Fat16, 16 << 20, rounds / 10);
    play(FatTypeSelection::Fat32, 40 << 20, rounds / 10);
}
