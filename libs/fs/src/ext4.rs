// SPDX-License-Identifier: MIT OR Apache-2.0
//! ext2, ext3 and ext4, to be read.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;

use prism::blocking::wait;
use prism::disks::ByteRange;
use prism_ext4::{Ext4Read, MAGIC, mount};
use prism_volume::FileSystem;

use crate::turns::Turns;

/// Whether there is such a file system.
pub(crate) fn is_there(place: &ByteRange) -> prism::Result<bool> {
    let (offset, magic) = MAGIC;
    let mut found = [0; 2];
    if place.length() > offset + 2 {
        wait(place.read(offset, &mut found))?;
    }
    Ok(found == magic)
}

/// Mounts it.
pub(crate) fn open(place: &Arc<ByteRange>) -> prism::Result<Box<dyn FileSystem>> {
    mount(Box::new(Reader::new(place)), place.length())
}

/// Bytes that are read ahead where one read follows another: `ext4-view` asks for a few blocks at a time.
const AHEAD: u64 = 256 << 10;

struct Reader {
    place: Arc<ByteRange>,
    /// What was read ahead, and where it begins.
    ahead: Vec<u8>,
    start: u64,
    turns: Turns,
}

impl Reader {
    fn new(place: &Arc<ByteRange>) -> Self {
        Self { place: Arc::clone(place), ahead: Vec::new(), start: 0, turns: Turns::default() }
    }

    /// What was read ahead from `start` on, if it is as much as that.
    fn found(&self, start: u64, length: usize) -> Option<&[u8]> {
        let skipped = usize::try_from(start.checked_sub(self.start)?).ok()?;
        self.ahead.get(skipped..skipped.checked_add(length)?)
    }
}

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.turns.pass();
        if let Some(found) = self.found(start, into.len()) {
            into.copy_from_slice(found);
            return Ok(());
        }
        let follows = start == self.start + self.ahead.len() as u64;
        let length = self.place.length().saturating_sub(start).min(AHEAD) as usize;
        self.ahead.clear();
        if follows && length >= into.len() {
            self.ahead.resize(length, 0);
            self.start = start;
            // Nothing is there if this fails.
            wait(self.place.read(start, &mut self.ahead)).inspect_err(|_| self.ahead.clear())?;
            into.copy_from_slice(self.ahead.get(..into.len()).unwrap_or_default());
            return Ok(());
        }
        wait(self.place.read(start, into))?;
        self.start = start + into.len() as u64; // inside of the disk
        Ok(())
    }
}
