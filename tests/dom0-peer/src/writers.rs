// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writers in xenstore beside the guest: one that collides with its transactions, one that floods
//! what it watches.

use anyhow::Result;

use crate::guest::Guest;

/// Adds one to `data/sum` in `count` transactions.
pub(crate) fn add(guest: &mut Guest, count: u32) -> Result<()> {
    let path = guest.path("data/sum");
    guest.hear("started")?;
    let (mut added, mut collisions) = (0, 0);
    while added < count {
        if guest.store.try_change(&path, |sum| sum + 1)? {
            added += 1;
        } else {
            collisions += 1;
        }
    }
    println!("{added} added, {collisions} collisions");
    guest.tell("added", &added.to_string())
}

/// Writes that go to xenstored together.
const BATCH: u32 = 100;

/// Writes `count` times below `data/flooded`, then once to `data/calm`.
pub(crate) fn flood(guest: &mut Guest, count: u32) -> Result<()> {
    guest.hear("started")?;
    let paths: Vec<String> = (0..BATCH).map(|number| guest.path(&format!("data/flooded/{number}"))).collect();
    for batch in 0..count / BATCH {
        guest.store.write_all(&paths, &batch.to_string())?;
    }
    println!("{} writes done", count / BATCH * BATCH);
    let calm = guest.path("data/calm");
    guest.store.write(&calm, "after the flood")
}
