// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads on their way, by `io_uring`.

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

/// In which order a disk is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Random,
    Sequential,
}

/// Which blocks are read, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) order: Order,
    pub(crate) depth: usize,
    /// Bytes of a block.
    pub(crate) size: usize,
    pub(crate) count: u64,
}

/// All that the reads need.
pub(crate) struct Reader {
    reads: Reads,
    disk: File,
    blocks: u64,
    /// Dropped before the memory that it writes to.
    ring: IoUring,
    /// Memory for each read that is on its way.
    memory: Vec<Vec<Page>>,
}

impl Reads {
    /// Opens the disk, and makes what is not to be measured.
    pub(crate) fn prepare(self, path: &str) -> Result<Reader> {
        ensure!(self.depth > 0 && self.size > 0, "there is nothing to read");
        let disk = open(path, OFlags::RDONLY | OFlags::DIRECT, Mode::empty())?;
        let blocks = seek(&disk, SeekFrom::End(0))? / self.size as u64;
        ensure!(blocks > 0, "the disk is too small");
        let pages = vec![Page { _bytes: [0; 4096] }; self.size.div_ceil(4096)];
        let ring = IoUring::new(self.depth as u32)?;
        Ok(Reader { reads: self, disk: disk.into(), blocks, ring, memory: vec![pages; self.depth] })
    }
}

impl Reader {
    /// Reads all blocks.
    pub(crate) fn run(&mut self) -> Result<()> {
        let mut idle: Vec<usize> = (0..self.memory.len()).collect();
        let (mut begun, mut done) = (0, 0);
        while done < self.reads.count {
            while begun < self.reads.count
                && let Some(slot) = idle.pop()
            {
                self.begin(begun, slot)?;
                begun += 1;
            }
            self.ring.submit_and_wait(1)?;
            for completion in self.ring.completion() {
                ensure!(
                    completion.result() == self.reads.size as i32,
                    "a read ended with {}",
                    completion.result()
                );
                idle.push(completion.user_data() as usize);
                done += 1;
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: u64, slot: usize) -> Result<()> {
        let block = match self.reads.order {
            Order::Random => mixed(number),
            Order::Sequential => number,
        };
        let address = self.memory[slot].as_mut_ptr().cast();
        let read = opcode::Read::new(types::Fd(self.disk.as_raw_fd()), address, self.reads.size as u32)
            .offset(block % self.blocks * self.reads.size as u64)
            .build()
            .user_data(slot as u64);
        // SAFETY: the slot's memory has at least `size` bytes, and is left alone until the slot is
        // idle again; it and the file outlive the ring, which `run` leaves early only to end the
        // program.
        unsafe { self.ring.submission().push(&read) }?;
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
