// SPDX-License-Identifier: MIT OR Apache-2.0
use std::task::{Context, Waker};

use prism_servers::http::{File, Files, Site};

/// A tar archive of these files, as RFC-less as they are: POSIX.1-1988 (ustar).
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        let mut header = [0; 512];
        let mut set =
            |offset: usize, text: &str| header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
        set(0, path);
        set(100, "0000644\0");
        set(124, &format!("{:011o}\0", content.len()));
        set(136, "00000000000\0");
        set(148, "        ");
        set(156, "0");
        set(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn of_tar(archive: &'static [u8]) -> Result<Files, impl std::fmt::Debug> {
    futures::executor::block_on(Files::of_tar(archive))
}

fn read(files: &Files, path: &str) -> Option<Vec<u8>> {
    futures::executor::block_on(async {
        let file = files.open(path).await.unwrap()?;
        let mut content = vec![0; file.length() as usize];
        assert_eq!(file.read(0, &mut content).await, Ok(content.len()));
        assert_eq!(file.read(file.length(), &mut [0]).await, Ok(0));
        assert_eq!(file.read(u64::MAX, &mut [0]).await, Ok(0));
        Some(content)
    })
}

#[test]
fn files_of_an_archive_are_served_by_their_paths() {
    let archive = tar(&[("./index.html", b"hello"), ("a/b.bin", &[1; 1000]), ("empty", b"")]);
    let files = of_tar(archive.leak()).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(read(&files, "index.html").unwrap(), b"hello");
    assert_eq!(read(&files, "a/b.bin").unwrap(), [1; 1000]);
    assert_eq!(read(&files, "empty").unwrap(), b"");
    assert_eq!(read(&files, "a"), None);
}

#[test]
fn an_archive_that_is_damaged_is_refused_whole() {
    let good = tar(&[("a", &[1; 2000])]);
    for length in [0, 511, 512, 1024, 2048] {
        assert!(of_tar(good[..length].to_vec().leak()).is_err(), "{length}");
    }
    let mut longer = good.clone();
    longer.extend([9; 100]);
    assert!(of_tar(longer.leak()).is_ok(), "what a loader adds does not matter");
    for place in [0, 130, 150] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert!(of_tar(bad.leak()).is_err(), "byte {place}");
    }
}

#[test]
fn others_have_their_turn_while_a_long_archive_is_read() {
    let archive = tar(&[("a", &[1; 3 << 20]), ("b", b""), ("c", b"")]).leak();
    let mut reading = std::pin::pin!(Files::of_tar(archive));
    let mut context = Context::from_waker(Waker::noop());
    let mut turns = 0;
    while reading.as_mut().poll(&mut context).is_pending() {
        turns += 1;
    }
    assert_eq!(turns, 3 + 3, "one for each file, and for each MiB");
}
