// SPDX-License-Identifier: MIT OR Apache-2.0
//! File systems that were made right and then damaged, where their structure is: what a mount, a walk and
//! reads say of them is files or errors, in bounded memory and time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use prism_damage::{Allowed, Counting, Fields, play, rounds};
use prism_ext4::{Ext4Read, mount};

/// Bytes that a damaged file system may take at once: its cache, and a directory.
const MEMORY: usize = 24 << 20;

/// Bytes of a file with holes.
const SPARSE: u64 = 8 << 20;

/// Bytes that are read of each, the cache's excluded.
const READS: u64 = 1 << 30;

#[global_allocator]
static HEAP: Counting = Counting;

/// A disk in memory.
struct Disk(Arc<Vec<u8>>, Arc<Mutex<u64>>);

impl Ext4Read for Disk {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut count = self.1.lock().unwrap();
        *count += into.len() as u64;
        let place = usize::try_from(start)?;
        let from = place.checked_add(into.len()).and_then(|end| self.0.get(place..end));
        into.copy_from_slice(from.ok_or("beyond the end")?);
        Ok(())
    }
}

/// Makes a file system by `mke2fs` with these arguments.
fn make(name: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let tree = folder.join("tree");
    fs::create_dir_all(tree.join("some/where")).unwrap();
    fs::create_dir_all(tree.join("many")).unwrap();
    for number in 0..120 {
        fs::write(tree.join(format!("many/a file of a rather long name, {number}")), b"x").unwrap();
    }
    fs::write(tree.join("some/where/file"), vec![7; 70_000]).unwrap();
    fs::write(tree.join("small"), b"small").unwrap();
    // Longer than the disk, of holes but for its end.
    let sparse = fs::File::create(tree.join("sparse")).unwrap();
    sparse.write_all_at(b"end", SPARSE - 3).unwrap();
    std::os::unix::fs::symlink("some/where/file", tree.join("link")).unwrap();
    std::os::unix::fs::symlink(format!("/some/{}where/file", "./".repeat(60)), tree.join("long")).unwrap();
    let image = folder.join("image");
    let path = ["/usr/sbin/mke2fs", "/sbin/mke2fs"].into_iter().find(|path| fs::exists(path).unwrap());
    let output = Command::new(path.unwrap_or("mke2fs"))
        .args(["-q", "-N", "256", "-E", "hash_seed=00000000-0000-0000-0000-000000000001"])
        .args(["-U", "00000000-0000-0000-0000-000000000001"])
        .args(arguments)
        .arg("-d")
        .args([&tree, &image])
        .arg("4M")
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .output()
        .expect("mke2fs of the package e2fsprogs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(image).unwrap()
}

/// Uses all that there is, and returns what was read of files.
fn use_all(
    image: &Arc<Vec<u8>>,
    reads: &Arc<Mutex<u64>>,
) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let files = mount(Box::new(Disk(Arc::clone(image), Arc::clone(reads))), image.len() as u64)?;
    let mut found = BTreeMap::new();
    for path in ["", "some", "some/where", "many", "link", "nothing"] {
        let _ = files.list(path);
    }
    let many = files.list("many").unwrap_or_default();
    let paths =
        ["small", "link", "long", "some/where/file", "some/../some/where/./file", "nothing", "small/x"];
    for path in paths
        .into_iter()
        .map(str::to_owned)
        .chain(many.iter().filter(|name| !name.ends_with('/')).take(3).map(|name| format!("many/{name}")))
    {
        let Ok(Some(mut file)) = files.open(&path) else { continue };
        let _ = file.tag();
        let mut buffer = [0; 5000];
        for offset in [0, 5000, 5000, file.length().saturating_sub(1), 1 << 40, 12] {
            if offset <= file.length() {
                let _ = file.read(offset, &mut buffer);
                // What has failed is tried again.
                let _ = file.read(offset, &mut buffer);
            }
        }
        drop(file);
        if let Ok(bytes) = files.read(&path) {
            found.insert(path, bytes);
        }
    }
    Ok(found)
}

/// Places of bytes that say something: not those of empty blocks and of files.
fn structure(image: &[u8]) -> Vec<usize> {
    let (words, _) = image.as_chunks::<4>();
    let is_file = |word: &[u8; 4]| matches!(word, [0, 0, 0, 0] | [7, 7, 7, 7] | [255, 255, 255, 255]);
    let said = words.iter().enumerate().filter(|(_, word)| !is_file(word)).map(|(index, _)| index * 4);
    // Fields that are zero beside ones that are not are among them.
    said.flat_map(|place| [place, place + 1, place + 2, place + 3, (place + 4).min(image.len() - 1)])
        .collect()
}

/// Numbers that mean something in an inode, a directory or a descriptor.
const NUMBERS: &[u32] = &[0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, u32::MAX, 1 << 31, 12, 0xf30a];

/// A hashed directory's count of entries is believed before its checksum is; a place behind a block that
/// cannot be found is looked for as if it could.
const KNOWN: &[&str] = &["ext4-view-1.0.0/src/dir_block.rs", "ext4-view-1.0.0/src/file.rs"];

/// A file that is longer than its disk is read where one asks. Not of ext2 and ext3: the crate takes a hole
/// of many blocks there for a damaged file, and panics.
fn holes_are_zeros(image: &[u8], reads: &Arc<Mutex<u64>>) {
    let disk = Disk(Arc::new(image.to_vec()), Arc::clone(reads));
    let files = mount(Box::new(disk), image.len() as u64).unwrap();
    let mut sparse = files.open("sparse").unwrap().unwrap();
    let mut end = [1; 5];
    assert_eq!((sparse.length(), sparse.read(SPARSE - 5, &mut end).unwrap()), (SPARSE, 5));
    assert_eq!(&end, b"\0\0end");
    assert!(files.read("sparse").is_err(), "it would take memory");
}

fn play_with(name: &str, arguments: &[&str], rounds: usize) {
    let image = make(name, arguments);
    let reads = Arc::new(Mutex::new(0));
    let found = use_all(&Arc::new(image.clone()), &reads).unwrap();
    assert_eq!(found.len(), 8, "{:?}", found.keys());
    assert!(["link", "long", "some/where/file"].iter().all(|path| found[*path] == vec![7; 70_000]));
    if name.starts_with("ext4") {
        holes_are_zeros(&image, &reads);
    }
    // The superblock is small, and all depends on it.
    let fields = Fields { head: 1024..1424, one_in: 4, places: structure(&image), numbers: NUMBERS };
    let damaged = |seed: usize, random: &mut _| {
        let mut damaged = image.clone();
        if seed.is_multiple_of(4) {
            // It was not unmounted: its journal is to be read, if it has one.
            damaged[1024 + 0x60] |= 4;
        }
        fields.damage(&mut damaged, random);
        Arc::new(damaged)
    };
    play(name, rounds, Allowed { memory: MEMORY, panics: KNOWN }, damaged, |damaged| {
        *reads.lock().unwrap() = 0;
        drop(use_all(&damaged, &reads));
        let read = *reads.lock().unwrap();
        (read > READS).then(|| format!("{read} bytes read"))
    });
}

/// One after the other: they share what counts memory.
#[test]
fn damaged_file_systems_are_errors_in_bounded_memory() {
    let rounds = rounds(250);
    play_with("ext2", &["-t", "ext2", "-b", "1024", "-O", "dir_index"], rounds);
    play_with("ext3", &["-t", "ext3", "-b", "1024", "-J", "size=1"], rounds);
    play_with("ext4", &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"], rounds);
    play_with("ext4-4k", &["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^has_journal"], rounds);
    play_with("ext4-sums", &["-t", "ext4", "-b", "1024"], rounds);
}
