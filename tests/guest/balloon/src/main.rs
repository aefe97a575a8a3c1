// SPDX-License-Identifier: MIT OR Apache-2.0
//! Works with its memory while the toolstack takes some of it away and gives it back, until `data/done` is
//! written. Then every page is written to and read back: those that came back must be as good as those
//! before.
//!
//! `size=` is how many MiB it must have in the end, at least; without it, exactly what it had in the
//! beginning.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;

use prism::embassy_time::{Duration, Instant, Timer};
use prism::grant::OwnPage;
use prism::task::{Either, select};
use prism::xen::grant::Page;
use prism::xen::xenstore::Client;
use prism::{Context, Verdict, memory, println};

prism::app!(main, params: ["size"]);

/// Written by the toolstack when it has done what it wanted.
const DONE: &str = "data/done";
/// How much is held at a time, at most.
const PAGES: usize = 256;
const BLOCKS: usize = 16;
/// Bytes of a block of the heap.
const BLOCK: usize = 64 << 10;

async fn main(context: Context) -> prism::Result<Verdict> {
    let size = context.command_line().number("size").map_err(|_| "size= is no number")?;
    let store = context.store().ok_or("there is no xenstore here")?;
    let before = memory::usage();
    println!("ready for a balloon: {} KiB, {} KiB free", before.total >> 10, before.free >> 10);
    let work = Work::default();
    if let Either::First(told) = select(told(store), select(work.go_on(), work.watch_clock())).await {
        told?;
    }
    println!(
        "{} rounds, {} wrong, a sleep of 10 ms took {} ms at most",
        work.rounds.get(),
        work.wrong.get(),
        work.longest.get()
    );
    let after = memory::usage();
    println!("done: {} KiB, {} KiB free", after.total >> 10, after.free >> 10);
    let (pages, wrong) = check_all();
    println!("{pages} pages, {wrong} wrong");
    // What is not managed - the image, page tables - is less than 2 MiB.
    let enough = size.map_or(after.total == before.total, |size| (after.total >> 20) + 2 >= size);
    let good = work.rounds.get() != 0 && work.wrong.get() == 0 && wrong == 0 && pages != 0;
    Ok(if good && enough { Verdict::Success } else { Verdict::Failure })
}

/// Waits until the toolstack is done.
async fn told(store: &Client) -> prism::Result {
    let mut watch = store.watch(DONE).await?;
    while store.read(DONE).await.is_err() {
        watch.next().await?;
    }
    Ok(())
}

/// Work that goes on, and what came of it.
#[derive(Default)]
struct Work {
    rounds: Cell<u64>,
    wrong: Cell<u64>,
    /// Milliseconds.
    longest: Cell<u64>,
}

impl Work {
    /// Fills pages and blocks, and looks at them when they have been kept for a while.
    async fn go_on(&self) {
        let mut pages = VecDeque::new();
        let mut blocks = VecDeque::new();
        for round in 1.. {
            if let Some(mut page) = OwnPage::new() {
                page.bytes_mut().fill(round as u8);
                pages.push_back((page, round as u8));
            }
            let mut block: Vec<u8> = Vec::new();
            if round % 16 == 0 && block.try_reserve_exact(BLOCK).is_ok() {
                block.resize(BLOCK, round as u8);
                blocks.push_back((block, round as u8));
            }
            if pages.len() > PAGES
                && let Some((page, mark)) = pages.pop_front()
            {
                self.expect(page.bytes().iter().all(|byte| *byte == mark));
            }
            if blocks.len() > BLOCKS
                && let Some((block, mark)) = blocks.pop_front()
            {
                self.expect(block.iter().all(|byte| *byte == mark));
            }
            self.rounds.set(round);
            Timer::after_micros(200).await;
        }
    }

    fn expect(&self, is_right: bool) {
        self.wrong.set(self.wrong.get() + u64::from(!is_right));
    }

    /// Sleeps again and again.
    async fn watch_clock(&self) {
        loop {
            let start = Instant::now();
            Timer::after(Duration::from_millis(10)).await;
            self.longest.set(self.longest.get().max(start.elapsed().as_millis()));
        }
    }
}

/// Takes all pages, writes to each, and counts them, and those that do not hold what was written.
fn check_all() -> (usize, usize) {
    let mut pages = Vec::new();
    while pages.try_reserve(1).is_ok()
        && let Some(mut page) = OwnPage::new()
    {
        let mark = pages.len().to_le_bytes();
        page.bytes_mut().as_chunks_mut().0.fill(mark);
        pages.push(page);
    }
    let is_wrong = |(number, page): &(usize, &OwnPage)| {
        page.bytes().as_chunks().0.iter().any(|word| *word != number.to_le_bytes())
    };
    let wrong = pages.iter().enumerate().filter(is_wrong).count();
    (pages.len(), wrong)
}
