// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions beside another writer: no update of either is lost.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use prism::embassy_time::{Duration, Instant, Timer};
use prism::xen::xenstore::{Client, Error, Refusal};
use prism::{Context, println};

use crate::talk::{LIMIT, Peer, limited};

/// What is added to.
pub(crate) const SUM: &str = "data/sum";
const TASKS: u32 = 4;
const ROUNDS: u32 = 10;

/// Four tasks add one ten times each, while the peer does the same as often as it likes.
pub(crate) async fn add_beside_others(context: &Context, peer: &Peer) -> prism::Result<bool> {
    limited(peer.store.write(SUM, "0")).await?;
    let (added, given_up) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    for _ in 0..TASKS {
        let (store, added, given_up) = (peer.store, Arc::clone(&added), Arc::clone(&given_up));
        context.spawn(async move {
            for _ in 0..ROUNDS {
                while let Err(error) = add_one(store).await {
                    given_up.fetch_add(1, Ordering::Relaxed);
                    if error != Error::Refused(Refusal::Again) {
                        println!("a transaction failed: {error}");
                        return;
                    }
                }
                added.fetch_add(1, Ordering::Relaxed);
            }
        })?;
    }
    peer.tell("started", "1").await?;
    let deadline = Instant::now() + LIMIT;
    while added.load(Ordering::Relaxed) < TASKS * ROUNDS && Instant::now() < deadline {
        Timer::after(Duration::from_millis(10)).await;
    }
    let others: u32 = peer.hear("added").await?.parse()?;
    let sum = limited(peer.store.read_str(SUM)).await?;
    let (added, given_up) = (added.load(Ordering::Relaxed), given_up.load(Ordering::Relaxed));
    println!("{added} added here, {others} by the peer, the sum is {sum}");
    println!("transactions given up and begun anew: {given_up}");
    Ok(added == TASKS * ROUNDS && sum == format!("{}", added + others))
}

/// Adds one in a transaction; what there is then.
pub(crate) async fn add_one(store: &Client) -> Result<u64, Error> {
    let wait = |time: core::time::Duration| Timer::after(Duration::from_micros(time.as_micros() as u64));
    store
        .transaction(&wait, async |transaction| {
            let sum = transaction.value(SUM).await?.integer(0..=1_000_000)? + 1;
            transaction.write(SUM, format!("{sum}")).await?;
            Ok(sum as u64)
        })
        .await
}
