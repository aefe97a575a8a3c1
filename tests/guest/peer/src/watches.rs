// SPDX-License-Identifier: MIT OR Apache-2.0
//! A watch that is flooded: it costs no more than it is allowed, and others still work.

use prism::{memory, println};

use crate::talk::{Peer, limited};

/// Events that a watch keeps, and the one that stands for those it does not.
const KEPT: u32 = 16 + 1;

/// The peer writes tens of thousands of times where nobody reads the events, then once where
/// somebody does.
pub(crate) async fn flooded(peer: &Peer) -> prism::Result<bool> {
    let mut flooded = limited(peer.store.watch("data/flooded")).await?;
    let mut calm = limited(peer.store.watch("data/calm")).await?;
    limited(flooded.next()).await?;
    limited(calm.next()).await?;
    let free = memory::usage().free;
    peer.tell("started", "1").await?;
    limited(calm.next()).await?;
    let (mut kept, mut overflows) = (0, 0);
    while kept < KEPT && overflows == 0 {
        let event = limited(flooded.next()).await?;
        kept += 1;
        overflows += u32::from(event.overflow);
    }
    let lost = free.saturating_sub(memory::usage().free) >> 10;
    println!("{kept} events of the flood kept, the last one stands for the rest: {}", overflows == 1);
    println!("{lost} KiB of memory gone, {:?}", peer.store.counters());
    let value = limited(peer.store.read_str("data/calm")).await?;
    Ok(kept <= KEPT && overflows == 1 && lost <= 64 && value == "after the flood")
}
