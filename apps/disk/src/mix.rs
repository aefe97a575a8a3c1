// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and writes of random sizes, many at once. Each block has a seed of its own, by which it is checked.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::pending;

use prism::disks::{self, Disk, Request, Submission};
use prism::futures::select::{Either, select};
use prism::{Context, println};

use crate::pattern;

/// Bytes of a block, each of which is written as a whole.
const BLOCK: u64 = 4096;
/// Blocks of the largest request.
const MAX_BLOCKS: u64 = 160;
/// Requests on their way at once.
const DEPTH: usize = 16;

/// A request on its way, and what must come of it.
struct Pending<'d> {
    first: u64,
    blocks: u64,
    /// Seeds of the blocks: what a read must find.
    expected: Option<Vec<u64>>,
    submission: Submission<'d>,
}

/// Moves `size` MiB to and from the disk, or fewer if the domain is asked to end meanwhile; false if a block
/// is not what was written last.
pub(crate) async fn run(context: &Context, disk: &Disk, seed: u64, size: u64) -> prism::Result<bool> {
    let is_over = Cell::new(false);
    let listening = async {
        context.shutdown_requested().await;
        is_over.set(true);
        pending().await
    };
    let (Either::First(done) | Either::Second(done)) =
        select(mix(disk, seed, size, &is_over), listening).await;
    done
}

async fn mix(disk: &Disk, seed: u64, size: u64, is_over: &Cell<bool>) -> prism::Result<bool> {
    println!("mixing reads and writes on {}", disk.name());
    let blocks = disk.geometry().bytes / BLOCK;
    let mut seeds = vec![0_u64; blocks as usize];
    let mut random = seed;
    let (mut moved, mut reads, mut writes) = (0, 0, 0_u64);
    let mut on_their_way: Vec<Pending<'_>> = Vec::new();
    let mut good = true;
    while moved < size << 20 && !is_over.get() {
        random = pattern::mixed(random);
        let first = random % blocks;
        let count = (1 + (random >> 32) % MAX_BLOCKS).min(blocks - first);
        // Nobody says what comes of requests to the same place at the same time.
        while on_their_way.len() >= DEPTH || on_their_way.iter().any(|other| overlaps(other, first, count)) {
            good &= finish(on_their_way.remove(0)).await?;
        }
        let range = first as usize..(first + count) as usize;
        let written = seeds[range.clone()].iter().all(|seed| *seed != 0);
        let is_read = written && random & 1 << 20 != 0;
        let mut buffer = disks::buffer((count * BLOCK) as usize).ok_or("no memory")?;
        let offset = first * BLOCK;
        let (request, expected) = if is_read {
            reads += 1;
            (Request::Read { offset, buffer }, Some(seeds[range].to_vec()))
        } else {
            writes += 1;
            seeds[range].fill(random | 1);
            pattern::fill(&mut buffer, random | 1, offset);
            (Request::Write { offset, buffer }, None)
        };
        on_their_way.push(Pending { first, blocks: count, expected, submission: disk.submit(request) });
        moved += count * BLOCK;
    }
    for last in on_their_way {
        good &= finish(last).await?;
    }
    good &= read_all(disk, &seeds).await?;
    disk.flush().await?;
    println!("{}: {writes} writes and {reads} reads, {} MiB, all checked", disk.name(), moved >> 20);
    Ok(good)
}

fn overlaps(pending: &Pending<'_>, first: u64, blocks: u64) -> bool {
    pending.first < first + blocks && first < pending.first + pending.blocks
}

async fn finish(pending: Pending<'_>) -> prism::Result<bool> {
    let buffer = pending.submission.await?;
    let Some(expected) = pending.expected else { return Ok(true) };
    Ok(is_right(&buffer, pending.first, &expected))
}

/// Whether each block is as its seed says.
fn is_right(buffer: &disks::Buffer, first: u64, seeds: &[u64]) -> bool {
    let wrong = buffer.pieces().zip(seeds).zip(first..).find(|((piece, seed), block)| {
        let found = pattern::first_difference_in(piece, **seed, block * BLOCK);
        **seed != 0 && found.is_some()
    });
    if let Some((_, block)) = wrong {
        println!("block {block} is not what was written");
    }
    wrong.is_none()
}

/// Reads every block that was written.
async fn read_all(disk: &Disk, seeds: &[u64]) -> prism::Result<bool> {
    let mut good = true;
    for (index, seeds) in seeds.chunks(64).enumerate() {
        let first = index as u64 * 64;
        let buffer = disks::buffer(seeds.len() * BLOCK as usize).ok_or("no memory")?;
        let buffer = disk.read(first * BLOCK, buffer).await?;
        good &= is_right(&buffer, first, seeds);
    }
    Ok(good)
}
