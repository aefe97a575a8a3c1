// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers: they differ, all their bits vary, and their quality is as reported.
#![no_std]
#![no_main]

extern crate alloc;

mod draw;

use alloc::collections::BTreeSet;

use prism::entropy::{self, Random, rand_core::Rng};
use prism::{Context, Verdict, println};

prism::app!(main);

/// Numbers drawn, twice as many bytes as make the pool mix fresh material in.
const DRAWS: usize = 16_384;

async fn main(context: Context) -> Verdict {
    println!("entropy: {}", context.environment().services.entropy);
    println!("sources: {:?}", entropy::sources());
    println!("a number of this boot: {:#034x}", draw::new_uuid());
    let good = [all_differ(), all_bits_move(), sources_last(&context)];
    if good.into_iter().all(|good| good) { Verdict::Success } else { Verdict::Failure }
}

fn all_differ() -> bool {
    let numbers: BTreeSet<u64> = (0..DRAWS).map(|_| Random.next_u64()).collect();
    println!("{} of {DRAWS} numbers differ", numbers.len());
    numbers.len() == DRAWS
}

/// Each bit is set in about half of the numbers: six standard deviations are allowed.
fn all_bits_move() -> bool {
    let mut set = [0usize; 64];
    for _ in 0..DRAWS {
        let number = Random.next_u64();
        set.iter_mut().enumerate().for_each(|(bit, count)| *count += (number >> bit & 1) as usize);
    }
    let odd = set.iter().filter(|count| count.abs_diff(DRAWS / 2) > 384).count();
    println!("{odd} of 64 bits are set too often or too seldom");
    odd == 0
}

/// No source has gone bad meanwhile.
fn sources_last(context: &Context) -> bool {
    entropy::sources() == context.environment().capabilities.entropy
}
