// SPDX-License-Identifier: MIT OR Apache-2.0
//! Archives that were made right and then damaged, where their structure is: what is found in them is files
//! or errors, in bounded memory.

use futures::executor::block_on;
use prism_damage::{Allowed, Counting, Fields, play, rounds, said};
use prism_servers::http::{Files, Site};

#[global_allocator]
static HEAP: Counting = Counting;

const BLOCK: usize = 512;

/// Numbers that mean something in a header, which has them as digits: of one, two or four of them.
const NUMBERS: &[u32] = &[
    0,
    u32::from_le_bytes(*b"0000"),
    u32::from_le_bytes(*b"7777"),
    u32::from_le_bytes(*b"9xL1"),
    u32::from_le_bytes(*b"/../"),
    u32::from_le_bytes(*b"    "),
    u32::from_le_bytes(*b"5205"),
    u32::MAX,
    1 << 31,
    0x80,
];

/// Makes the checksum of a header right (POSIX, `pax`): the sum of its bytes, its own as spaces.
fn sum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// An archive of these files, as `tar` makes it.
fn tar(files: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, content) in files {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (offset, digits) in [(100, "0000644"), (108, "0001750"), (116, "0001750")] {
            header[offset..offset + 7].copy_from_slice(digits.as_bytes());
        }
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[136..147].copy_from_slice(b"14371573721");
        header[156] = *kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        sum(&mut header);
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

#[test]
fn damaged_archives_are_files_or_errors_in_bounded_memory() {
    let long = format!("{}name", "folder/".repeat(13));
    let image = tar(&[
        ("./", b'5', b""),
        ("./index.html", b'0', b"<html>"),
        ("./link", b'2', b""),
        ("./large", b'0', &[7; 3000]),
        (&long, b'0', b"deep"),
    ]);
    let right = block_on(Files::of_tar(image.clone().leak())).unwrap();
    assert_eq!(right.len(), 3);
    for path in ["index.html", "large", &long] {
        assert!(block_on(right.open(path)).unwrap().is_some(), "{path}");
    }
    let fields = Fields { head: 0..BLOCK, one_in: 4, places: said(&image, &[0, 7]), numbers: NUMBERS };
    let damaged = |seed: usize, random: &mut _| {
        let mut damaged = image.clone();
        fields.damage(&mut damaged, random);
        if seed.is_multiple_of(2) {
            for start in [0, 1, 3, 4, 11].map(|block| block * BLOCK) {
                sum(&mut damaged[start..start + BLOCK]);
            }
        }
        if seed.is_multiple_of(5) {
            damaged.truncate(damaged.len() - seed % 7 * BLOCK - seed % BLOCK);
        }
        // It is there for as long as the guest.
        &*damaged.leak()
    };
    let allowed = Allowed { memory: 64 << 10, panics: &[] };
    play("tar", rounds(3000), allowed, damaged, |archive| {
        let files = block_on(Files::of_tar(archive)).ok()?;
        (files.len() > archive.len() / BLOCK).then(|| format!("{} files", files.len()))
    });
}
