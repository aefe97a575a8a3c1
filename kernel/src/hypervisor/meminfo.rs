// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory is there and how much is free, where toolstacks look for what a guest's agent tells of it
//! (XenServer's and XCP-ng's guest utilities): in KiB.
//!
//! It is told at boot, after a restore, and when a sixteenth of all memory is taken or freed a minute or more
//! after it was told last. No timer is set for that: a guest in which nothing happens does not wake up.

use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant};
use prism_boot::PAGE_SIZE;
use xen::xenstore::{Client, Error, Result};

use crate::hypervisor::suspend;
use crate::memory::{self, Usage, watermark};

const TOTAL: &str = "data/meminfo_total";
const FREE: &str = "data/meminfo_free";
/// What toolstacks watch.
const UPDATED: &str = "data/updated";

/// The least time from one report to the next.
const INTERVAL: Duration = Duration::from_secs(60);
/// What part of all memory is worth a report.
const SHARE: u64 = 16;

/// Reports for ever, or until xenstored refuses: some toolstacks do not want to know.
pub(crate) async fn serve(store: &Client) {
    loop {
        // With a connection that breaks the next one is tried.
        if let Err(Error::Refused(_)) = report(store, memory::usage()).await {
            return;
        }
        let next = Instant::now() + INTERVAL;
        while let Either::First(()) = select(much_changed(), suspend::resumed()).await {
            if Instant::now() >= next {
                break;
            }
        }
    }
}

/// Waits until a share of all memory was taken or freed, from now on.
async fn much_changed() {
    let usage = memory::usage();
    let [total, free] = [usage.total, usage.free].map(|bytes| bytes / PAGE_SIZE);
    let change = total / SHARE;
    watermark::passed(free.saturating_sub(change), free + change).await;
}

async fn report(store: &Client, usage: Usage) -> Result<()> {
    // At once, but done in this order: the watched one is the last.
    let keys = [(TOTAL, usage.total / 1024), (FREE, usage.free / 1024), (UPDATED, 1)];
    let writes = keys.map(|(path, value)| async move { store.write(path, alloc::format!("{value}")).await });
    join_array(writes).await.into_iter().collect()
}
