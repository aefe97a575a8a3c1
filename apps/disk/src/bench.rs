// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures how long reads take.

use prism::disks::Disk;
use prism::embassy_time::{Duration, with_timeout};
use prism::{Context, println, time};

use crate::pipeline::{Order, Reads};

/// How long a [`mark`] lasts at most: who sees it on the console may have to start something.
const LONGEST_MARK: Duration = Duration::from_secs(10);

/// The order that a word means.
pub(crate) fn order(word: &str) -> prism::Result<Order> {
    match word {
        "random" => Ok(Order::Random),
        "sequential" => Ok(Order::Sequential),
        _ => Err(alloc::format!("{word} is not an order: random or sequential is").into()),
    }
}

/// Reads, and says how long that took.
pub(crate) async fn run(disk: &Disk, reads: Reads) -> prism::Result<bool> {
    let start = time::nanoseconds();
    reads.run(disk).await?;
    println!("bench: {} requests, {} ns", reads.count, time::nanoseconds() - start);
    Ok(true)
}

/// Says something, and waits for a line on the console, for ten seconds at most.
pub(crate) async fn mark(context: &Context, text: &str) -> bool {
    println!("mark {text}");
    // Nobody has to answer.
    let _ = with_timeout(LONGEST_MARK, context.read_line(80)).await;
    true
}
