// SPDX-License-Identifier: MIT OR Apache-2.0
//! FAT file systems that were made right and then damaged, where their structure is: what is listed and read
//! of them is files or errors, in bounded memory and reads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embedded_io::{ErrorKind, ErrorType, Read, Seek, SeekFrom, Write};
use hadris_fat::format::{FatFormatOptions, FatTypeSelection, FatVolumeFormatter};
use hadris_fat::{FatVolume, FatVolumeWriteExt};
use prism_damage::{Allowed, Counting, Fields, play, rounds, said};
use prism_fat::{BOOT_SECTOR, Layout, Runs};

/// Bytes that a damaged file system may take at once, beside its disk.
const MEMORY: usize = 4 << 20;

/// What a lookup may read, as in `prism-fs`, but for smaller disks.
const LOOKUP: u64 = 4 << 20;

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

/// Numbers that mean something in a table or a directory.
const NUMBERS: &[u32] = &[0, 1, 2, 3, 0x7f, 0xff, 0xfff, 0xffff, 0x0fff_ffff, u32::MAX, 0xe5, 0x0f, 0x10];

fn play_with(kind: FatTypeSelection, length: usize, rounds: usize) {
    let image = make(kind, length);
    assert!(use_all(image.clone()).is_some_and(|read| read >= 40_006), "{kind:?}");
    // The boot sector, or what else is not empty and no file.
    let fields = Fields { head: 0..96, one_in: 3, places: said(&image, &[0, 7]), numbers: NUMBERS };
    let damaged = |_, random: &mut _| {
        let mut damaged = image.clone();
        fields.damage(&mut damaged, random);
        damaged
    };
    let allowed = Allowed { memory: MEMORY, panics: &[] };
    play(&format!("{kind:?}"), rounds, allowed, damaged, |damaged| {
        let _ = use_all(damaged);
        None
    });
}

/// One after the other: they share what counts memory.
#[test]
fn damaged_file_systems_are_errors_in_bounded_memory() {
    let rounds = rounds(400);
    play_with(FatTypeSelection::Fat12, 1 << 20, rounds);
    play_with(FatTypeSelection::Fat16, 16 << 20, rounds / 10);
    play_with(FatTypeSelection::Fat32, 40 << 20, rounds / 10);
}
