// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and writes on their way, by `io_uring`.

use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::{IoUring, opcode, types};
use rustix::fs::{Mode, OFlags, SeekFrom, open, seek};

/// Where a block lies in memory: `O_DIRECT` wants it so.
#[repr(align(4096))]
#[derive(Clone)]
struct Page {
    _bytes: [u8; 4096],
}

/// Whether a disk is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// In which order a disk is gone through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Random,
    Sequential,
}

/// Which blocks are read or written, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfers {
    pub(crate) direction: Direction,
    pub(crate) order: Order,
    pub(crate) depth: usize,
    /// Bytes of a block.
    pub(crate) size: usize,
    pub(crate) count: u64,
}

/// All that the transfers need.
pub(crate) struct Running {
    transfers: Transfers,
    disk: File,
    blocks: u64,
    /// Dropped before the memory that it uses.
    ring: IoUring,
    /// Memory for each transfer that is on its way.
    memory: Vec<Vec<Page>>,
}

impl Transfers {
    /// Opens the disk, and makes what is not to be measured.
    pub(crate) fn prepare(self, path: &str) -> Result<Running> {
        ensure!(self.depth > 0 && self.size > 0, "there is nothing to do");
        let access = match self.direction {
            Direction::Read => OFlags::RDONLY,
            Direction::Write => OFlags::RDWR,
        };
        let disk = open(path, access | OFlags::DIRECT, Mode::empty())?;
        let blocks = seek(&disk, SeekFrom::End(0))? / self.size as u64;
        ensure!(blocks > 0, "the disk is too small");
        let pages = vec![Page { _bytes: [0; 4096] }; self.size.div_ceil(4096)];
        let ring = IoUring::new(self.depth as u32)?;
        Ok(Running { transfers: self, disk: disk.into(), blocks, ring, memory: vec![pages; self.depth] })
    }
}

impl Running {
    /// Reads or writes all blocks.
    pub(crate) fn run(&mut self) -> Result<()> {
        let mut idle: Vec<usize> = (0..self.memory.len()).collect();
        let (mut begun, mut done) = (0, 0);
        while done < self.transfers.count {
            while begun < self.transfers.count
                && let Some(slot) = idle.pop()
            {
                self.begin(begun, slot)?;
                begun += 1;
            }
            self.ring.submit_and_wait(1)?;
            for completion in self.ring.completion() {
                ensure!(
                    completion.result() == self.transfers.size as i32,
                    "a transfer ended with {}",
                    completion.result()
                );
                idle.push(completion.user_data() as usize);
                done += 1;
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: u64, slot: usize) -> Result<()> {
        let block = match self.transfers.order {
            Order::Random => mixed(number),
            Order::Sequential => number,
        };
        let offset = block % self.blocks * self.transfers.size as u64;
        let (file, length) = (types::Fd(self.disk.as_raw_fd()), self.transfers.size as u32);
        let address = self.memory[slot].as_mut_ptr().cast();
        let entry = match self.transfers.direction {
            Direction::Read => opcode::Read::new(file, address, length).offset(offset).build(),
            Direction::Write => opcode::Write::new(file, address, length).offset(offset).build(),
        };
        let entry = entry.user_data(slot as u64);
        // SAFETY: the slot's memory has at least `size` bytes, and is left alone until the slot is
        // idle again; it and the file outlive the ring, which `run` leaves early only to end the
        // program.
        unsafe { self.ring.submission().push(&entry) }?;
        Ok(())
    }
}

/// The finalizer of SplitMix64: a number that looks random, as the application `disk` has it.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
