// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allocates all memory, writes to every page, reads it back, and frees it. With `functions`, checks the
//! functions that copy, fill and compare bytes instead.
//!
//! With `pages`, allocates every page and every large block, and goes on working without memory.
//!
//! `share=` is the least share of the memory map, in percent, that must be usable (default 80).
#![no_std]
#![no_main]

extern crate alloc;

mod functions;
mod pages;

use alloc::alloc::{Layout, alloc, dealloc};

use prism::{Verdict, memory, println};

prism::app!(main, params: ["functions", "pages", "share"]);

/// A block of memory; the blocks form a list, so that no other memory is needed.
struct Block {
    next: *mut Block,
    /// The block's own address: what is checked at the end.
    mark: usize,
}

/// Size of a block in bytes: large, so that big guests are done soon; small blocks take the rest.
const SIZES: [usize; 3] = [1 << 20, 64 << 10, 4 << 10];
const PAGE: usize = 4096;

async fn main(context: prism::Context) -> prism::Result<Verdict> {
    if context.command_line().flag("functions")? {
        let faults = functions::faults();
        println!("{faults} calls went wrong");
        return Ok(if faults == 0 { Verdict::Success } else { Verdict::Failure });
    }
    if context.command_line().flag("pages")? {
        return Ok(if pages::run_out() { Verdict::Success } else { Verdict::Failure });
    }
    let share = context.command_line().number("share").map_err(|_| "share= is no number")?.unwrap_or(80);
    let map = context.environment().memory;
    let before = memory::usage();
    println!("map {} KiB, managed {} KiB, free {} KiB", map >> 10, before.total >> 10, before.free >> 10);

    let layouts = SIZES.map(|size| Layout::from_size_align(size, PAGE));
    let mut taken = 0;
    let mut lists = [core::ptr::null_mut(); SIZES.len()];
    for (list, layout) in lists.iter_mut().zip(layouts.clone()) {
        let (blocks, bytes) = take_all(layout?);
        *list = blocks;
        taken += bytes;
    }
    // Only now: a page that was handed out twice holds what its second owner wrote.
    let mut wrong = 0;
    for (list, layout) in lists.into_iter().zip(layouts) {
        wrong += check_and_free(list, layout?);
    }
    println!("took {} KiB, {wrong} pages wrong", taken >> 10);
    let enough = taken as u64 * 100 >= map * share;
    Ok(if enough && wrong == 0 { Verdict::Success } else { Verdict::Failure })
}

/// Takes blocks until there are none, writing to each page.
fn take_all(layout: Layout) -> (*mut Block, usize) {
    let mut list = core::ptr::null_mut();
    let mut bytes = 0;
    loop {
        // SAFETY: the layout's size is not zero.
        let block = unsafe { alloc(layout) };
        if block.is_null() {
            return (list, bytes);
        }
        for offset in (0..layout.size()).step_by(PAGE) {
            let place = block.wrapping_add(offset).cast::<Block>();
            // SAFETY: inside the block just allocated, aligned to a page.
            unsafe { place.write(Block { next: list, mark: place.addr() }) };
        }
        list = block.cast();
        bytes += layout.size();
    }
}

/// Counts the pages that don't hold what was written, and frees the blocks.
fn check_and_free(mut list: *mut Block, layout: Layout) -> usize {
    let mut wrong = 0;
    while !list.is_null() {
        for offset in (0..layout.size()).step_by(PAGE) {
            let place = list.cast::<u8>().wrapping_add(offset).cast::<Block>();
            // SAFETY: written by take_all, and still ours.
            let mark = unsafe { (*place).mark };
            wrong += usize::from(mark != place.addr());
        }
        // SAFETY: as above.
        let next = unsafe { (*list).next };
        // SAFETY: allocated with this layout, and not used any more.
        unsafe { dealloc(list.cast(), layout) };
        list = next;
    }
    wrong
}
