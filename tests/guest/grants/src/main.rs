// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants and revokes in numbers: counters return to zero, a full table is no failure.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use prism::grant::{OwnPage, table};
use prism::xen::DomainId;
use prism::xen::grant::{Error, ReadOnly, ReadWrite};
use prism::{Verdict, memory, println};

prism::app!(main);

/// Nobody maps these pages: whom they are granted to does not matter.
const DOM0: DomainId = DomainId(0);

async fn main(_: prism::Context) -> prism::Result<Verdict> {
    let Some(table) = table() else {
        println!("there is no grant table here");
        return Ok(Verdict::Skip);
    };
    let free = memory::usage().free;
    let mut good = one_after_another(100_000);
    good &= as_many_as_possible();
    println!("{}", table.report());
    good &= table.report().is_idle();
    let now = memory::usage().free;
    println!("{} KiB free, {} KiB before", now >> 10, free >> 10);
    // Frames of the table itself, and what the heap grew by, stay.
    good &= free - now < 2 << 20;
    Ok(if good { Verdict::Success } else { Verdict::Failure })
}

/// Grants one page `count` times, read-only and read-write in turn.
fn one_after_another(count: u32) -> bool {
    let (Some(table), Some(mut page)) = (table(), OwnPage::new()) else { return false };
    for turn in 0..count {
        let ended = if turn % 2 == 0 {
            table.try_grant::<ReadOnly>(page, DOM0).ok().and_then(|granted| granted.end().ok())
        } else {
            table.try_grant::<ReadWrite>(page, DOM0).ok().and_then(|granted| granted.end().ok())
        };
        let Some(back) = ended else {
            println!("turn {turn} went wrong");
            return false;
        };
        page = back;
    }
    println!("{count} grants made and ended");
    true
}

/// Grants pages until the table or the memory is full, then ends all of them.
fn as_many_as_possible() -> bool {
    let Some(table) = table() else { return false };
    let mut granted = Vec::new();
    let stopped_by = loop {
        let Some(page) = OwnPage::new() else { break "no memory" };
        match table.try_grant::<ReadWrite>(page, DOM0) {
            Ok(grant) => granted.push(grant),
            Err(refused) if matches!(refused.error, Error::Full) => break "the table is full",
            Err(_) => break "an error",
        }
    };
    println!("{} pages granted at once, then: {stopped_by}", granted.len());
    let all_ended = granted.drain(..).all(|grant| grant.end().is_ok());
    all_ended && stopped_by != "an error"
}
