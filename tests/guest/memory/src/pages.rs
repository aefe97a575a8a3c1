// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running out of memory where that is an error, not a crash.

use alloc::boxed::Box;
use alloc::vec::Vec;

use prism::grant::OwnPage;
use prism::{memory, println};

/// Bytes of small allocations that must still be possible then: more than the heap had in hand.
const SMALL: usize = 128 * 1024;
/// Bytes of each.
const BYTES: usize = 4;

/// Takes all pages, then all large blocks, then allocates as code does that cannot do without.
pub(crate) fn run_out() -> bool {
    let mut pages = Vec::new();
    while pages.try_reserve(1).is_ok()
        && let Some(page) = OwnPage::new()
    {
        pages.push(page);
    }
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut block = Vec::new();
    while block.try_reserve_exact(1 << 17).is_ok() && blocks.try_reserve(1).is_ok() {
        blocks.push(core::mem::take(&mut block));
    }
    println!("{} pages and {} blocks, {} KiB left", pages.len(), blocks.len(), memory::usage().free >> 10);
    let mut last: Option<Box<Small>> = None;
    for number in 0..SMALL / size_of::<Small>() {
        last = Some(Box::new(Small { _before: last, _number: [number as u8; BYTES] }));
    }
    println!("small allocations go on");
    let good = last.is_some() && !pages.is_empty();
    // Ending a list ends each of the rest in turn, each a little deeper on the stack.
    core::mem::forget(last);
    good
}

/// A list without end.
struct Small {
    _before: Option<Box<Small>>,
    _number: [u8; BYTES],
}
