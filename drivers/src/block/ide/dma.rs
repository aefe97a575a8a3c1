// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bus-master DMA: the controller moves the data by itself.

use core::sync::atomic::{Ordering, fence};

use crate::hal::{PAGE_SIZE, Page};

use super::channel::Channel;
use super::drive::Drive;
use crate::block::ata::{Failure, READ_BY_DMA, READ_BY_DMA_LONG, TIMEOUT, WRITE_BY_DMA, WRITE_BY_DMA_LONG};
use crate::hal::Ports;
use crate::hal::{Interrupt, until};

/// Bus-master ports: command, status, address of the table.
const COMMAND: u16 = 0;
const STATUS: u16 = 2;
const TABLE: u16 = 4;

const START: u8 = 1 << 0;
/// Towards memory.
const TO_MEMORY: u8 = 1 << 3;

/// Bits of the status; both are cleared by writing ones.
const ERROR: u8 = 1 << 1;
const INTERRUPT: u8 = 1 << 2;

/// Mark of the table's last entry.
const LAST: u32 = 1 << 31;

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the disk to memory.
    Read,
    /// From memory to the disk.
    Write,
}

/// A page that holds the table of the pieces of memory, in which the controller finds what to move.
pub(super) struct Table<G: Page> {
    page: G,
}

impl<G: Page> Table<G> {
    /// A table in `page`; `None` if the controller cannot reach it: it knows 32-bit addresses only.
    pub(super) fn new(page: G) -> Option<Self> {
        address(&page).map(|_| Self { page })
    }

    /// Has `length` bytes of `pages` moved next; false if the controller cannot reach them all, or
    /// there are too many.
    pub(super) fn fill(&mut self, pages: &[G], length: usize) -> bool {
        let count = length.div_ceil(PAGE_SIZE);
        let Some(pages) = pages.get(..count).filter(|pages| !pages.is_empty()) else { return false };
        let (entries, _) = self.page.bytes_mut().as_chunks_mut::<8>();
        if pages.len() > entries.len() {
            return false;
        }
        for (index, (entry, page)) in entries.iter_mut().zip(pages).enumerate() {
            let Some(address) = address(page) else { return false };
            let bytes = (length - index * PAGE_SIZE).min(PAGE_SIZE) as u32;
            let mark = if index + 1 == count { LAST } else { 0 };
            let [low, high] = [address, bytes | mark].map(u32::to_le_bytes);
            let [first, second] = entry.as_chunks_mut::<4>().0 else { return false };
            (*first, *second) = (low, high);
        }
        true
    }
}

/// Address of a page, if it has 32 bits. Frames are the controller's own: nothing translates.
fn address<G: Page>(page: &G) -> Option<u32> {
    u32::try_from(page.frame().0.checked_mul(PAGE_SIZE as u64)?).ok()
}

impl<P: Ports + ?Sized, I: Interrupt> Channel<'_, P, I> {
    /// Moves what `table` was [filled](Table::fill) with: `count` sectors (1 to 256) from `first` on.
    pub(super) async fn move_by_dma<G: Page>(
        &self,
        base: u16,
        drive: &Drive,
        direction: Direction,
        (first, count): (u64, u16),
        table: &Table<G>,
    ) -> Result<(), Failure> {
        let (towards, command) = match direction {
            Direction::Read => (TO_MEMORY, drive.identity.form(READ_BY_DMA, READ_BY_DMA_LONG)),
            Direction::Write => (0, drive.identity.form(WRITE_BY_DMA, WRITE_BY_DMA_LONG)),
        };
        let port = |register: u16| base.wrapping_add(register);
        self.select(drive.number).await?;
        self.ports.write_u32(port(TABLE), address(&table.page).ok_or(Failure::Confused)?);
        self.ports.write_u8(port(COMMAND), towards);
        self.ports.write_u8(port(STATUS), self.ports.read_u8(port(STATUS)) | ERROR | INTERRUPT);
        // Table and data are in memory before the controller looks.
        fence(Ordering::SeqCst);
        self.start_at(drive, command, first, count);
        self.ports.write_u8(port(COMMAND), towards | START);
        let look =
            || Some(self.ports.read_u8(port(STATUS))).filter(|status| status & (INTERRUPT | ERROR) != 0);
        let status = until(&self.interrupt, TIMEOUT, look).await;
        self.ports.write_u8(port(COMMAND), 0);
        fence(Ordering::SeqCst);
        let status = status.ok_or(Failure::Silent)?;
        self.ports.write_u8(port(STATUS), status | ERROR | INTERRUPT);
        self.until_done().await?;
        if status & ERROR != 0 { Err(Failure::Confused) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use xen::fake::FakeXen;

    use super::*;

    #[test]
    fn the_table_names_each_page_and_ends_with_a_part() {
        let xen = FakeXen::new();
        let pages: Vec<_> = (0..3).map(|_| xen.page()).collect();
        let mut table = Table::new(xen.page()).unwrap();
        assert!(table.fill(&pages, 2 * PAGE_SIZE + 512));
        let entries: Vec<u32> = Page::bytes(&table.page)
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let place = |index: usize| pages[index].frame().0 as u32 * 4096;
        assert_eq!(entries[..6], [place(0), 4096, place(1), 4096, place(2), 512 | LAST]);
    }

    #[test]
    fn more_bytes_than_there_are_pages_for_are_refused() {
        let xen = FakeXen::new();
        let mut table = Table::new(xen.page()).unwrap();
        assert!(!table.fill(&[xen.page()], PAGE_SIZE + 1));
        assert!(!table.fill(&[], 0));
    }
}
