// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last piece of a disk that was read, for a table that is asked entry by entry.

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use embedded_io::{ErrorType, Read, Seek, SeekFrom};
use prism::blocking::wait;
use prism::disks::ByteRange;

use crate::cursor::{Cursor, Failed};

/// Bytes that are read at once: entries of a thousand clusters.
const BLOCK: u64 = 4096;

/// A disk and a place on it, and what was read last. Whoever writes to the disk makes a new one.
pub(crate) struct Cached {
    place: Arc<ByteRange>,
    cursor: Cursor,
    block: Vec<u8>,
    start: u64,
}

impl Cached {
    pub(crate) fn new(place: &Arc<ByteRange>) -> Self {
        Self {
            place: Arc::clone(place),
            cursor: Cursor::new(place, &Rc::new(Cell::new(u64::MAX))),
            block: Vec::new(),
            start: 0,
        }
    }

    /// What there is in the block from `at` on.
    fn found(&self, at: u64) -> &[u8] {
        let skipped = at.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.block.get(skipped..)).unwrap_or_default()
    }
}

impl ErrorType for Cached {
    type Error = Failed;
}

impl Read for Cached {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Failed> {
        let at = self.cursor.stream_position()?;
        if self.found(at).is_empty() {
            self.start = at - at % BLOCK;
            let length = self.place.length().saturating_sub(self.start).min(BLOCK) as usize;
            self.block.clear();
            self.block.resize(length, 0);
            // Nothing is there if this fails.
            wait(self.place.read(self.start, &mut self.block))
                .inspect_err(|_| self.block.clear())
                .map_err(Failed::from)?;
        }
        let found = self.found(at);
        let count = found.len().min(into.len());
        if let (Some(from), Some(into)) = (found.get(..count), into.get_mut(..count)) {
            into.copy_from_slice(from);
        }
        self.cursor.seek(SeekFrom::Start(at + count as u64))?;
        Ok(count)
    }
}

impl Seek for Cached {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Failed> {
        self.cursor.seek(to)
    }
}
