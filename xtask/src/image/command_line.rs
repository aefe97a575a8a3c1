// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line inside an image: a reserved area that takes the words for the kernel where a
//! loader cannot hand them over (libxl, for a guest started by `firmware_override`).
//!
//! The area is 512 bytes: a magic of 16 bytes, then text padded with NUL. Only a copy of the
//! image that is meant for such a start ever has text in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

const MAGIC: &[u8; 16] = b"PRISM-CMDLINE-1\0";

/// Longest text, in bytes; a NUL follows it.
const CAPACITY: usize = 495;

/// Bytes to be written over an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where, from the start of the file.
    pub offset: usize,
    /// What.
    pub bytes: Vec<u8>,
}

/// The change that puts `words` into the image at `path`.
///
/// # Errors
/// If the image has no such area, or the words do not fit.
pub fn patch(path: &Path, words: &str) -> Result<Patch> {
    let image = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    patch_of(&image, words)
}

fn patch_of(image: &[u8], words: &str) -> Result<Patch> {
    if words.len() > CAPACITY {
        bail!("a command line for this environment has at most {CAPACITY} bytes, not {}", words.len());
    }
    let place = place(image)?;
    let mut bytes = words.as_bytes().to_vec();
    bytes.resize(CAPACITY + 1, 0);
    Ok(Patch { offset: place + MAGIC.len(), bytes })
}

/// The only place in the image where the magic is followed by an empty area.
fn place(image: &[u8]) -> Result<usize> {
    let size = MAGIC.len() + CAPACITY + 1;
    let is_area =
        |window: &[u8]| window.starts_with(MAGIC) && window[MAGIC.len()..].iter().all(|&byte| byte == 0);
    let mut places = image.windows(size).enumerate().filter(|(_, window)| is_area(window));
    let (place, _) = places
        .next()
        .context("the image has no room for a command line, and libxl hands none to such a guest")?;
    ensure!(places.next().is_none(), "the image has more than one room for a command line");
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_follow_the_magic_and_fill_the_area() {
        let image = [b"xy".as_slice(), MAGIC, &[0; 496]].concat();
        let patch = patch_of(&image, "a=1").unwrap();
        assert_eq!((patch.offset, patch.bytes.len()), (18, 496));
        assert!(patch.bytes.starts_with(b"a=1\0"));
    }

    #[test]
    fn too_many_words_are_refused() {
        assert!(patch_of(MAGIC, &"x".repeat(496)).is_err());
    }

    #[test]
    fn an_image_without_the_area_is_refused() {
        assert!(patch_of(b"nothing", "a").is_err());
    }
}
