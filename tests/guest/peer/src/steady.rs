// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that goes on whatever becomes of the daemons beside it.

use alloc::format;

use prism::embassy_time::{Duration, Instant, Timer};
use prism::println;

use crate::talk::{Peer, limited};
use crate::transactions::{SUM, add_one};

/// How long a round rests.
const REST: Duration = Duration::from_millis(50);

/// Adds one in a transaction, is told of it by a watch, and says so on the console, again and again until the
/// peer has enough.
pub(crate) async fn kept_up(peer: &Peer) -> prism::Result<bool> {
    limited(peer.store.write(SUM, "0")).await?;
    let mut watch = limited(peer.store.watch(SUM)).await?;
    limited(watch.next()).await?;
    let (mut rounds, mut longest) = (0, Duration::from_ticks(0));
    while peer.store.read("data/peer/enough").await.is_err() {
        let begun = Instant::now();
        let sum = limited(add_one(peer.store)).await?;
        limited(watch.next()).await?;
        println!("round {sum}");
        rounds += 1;
        longest = longest.max(begun.elapsed());
        Timer::after(REST).await;
    }
    let sum = limited(peer.store.read_str(SUM)).await?;
    println!("{rounds} rounds, the sum is {sum}; the longest took {} ms", longest.as_millis());
    Ok(sum == format!("{rounds}"))
}
