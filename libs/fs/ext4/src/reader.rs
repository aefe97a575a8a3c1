// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk of which no more is read than there is a reason for.

use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;
use core::error::Error;
use core::fmt;

use ext4_view::Ext4Read;

/// Bytes that are read at most to find a file or to list a directory.
pub const LOOKUP: u64 = 256 << 20;

pub(crate) struct Reader {
    disk: Box<dyn Ext4Read>,
    budget: Rc<Cell<u64>>,
}

impl Reader {
    /// The disk, of which no more than `budget` is read: it is reduced by each read.
    pub(crate) fn new(disk: Box<dyn Ext4Read>, budget: &Rc<Cell<u64>>) -> Self {
        Self { disk, budget: Rc::clone(budget) }
    }
}

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let left = self.budget.get().checked_sub(into.len() as u64).ok_or(TooMuch)?;
        self.budget.set(left);
        self.disk.read(start, into)
    }
}

#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much was read to find something: directories may form a loop")
    }
}

impl Error for TooMuch {}
