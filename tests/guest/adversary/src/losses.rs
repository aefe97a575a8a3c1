// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest has lost to a peer that keeps what it was granted.

use prism::embassy_time::{Duration, Timer};
use prism::grant::{OwnPage, table};
use prism::xen::grant::Table;
use prism::{memory, println};

/// Pages that a backend's domain may keep at a time: those that a disk is still connected again with, as
/// `drivers/src/block/blkfront/frontend.rs` says, and those of eight connections, with their requests.
pub(crate) const OF_DISKS: Allowed = Allowed { quarantined: 512 + 8 * 128, memory: MOST_MEMORY };
/// The same of interfaces (`drivers/src/net/netfront/frontend.rs`), of which there are three connections.
/// Each has a stack, which stays for good: with its tables and the room for fragments some 600 KiB.
pub(crate) const OF_INTERFACES: Allowed =
    Allowed { quarantined: 1024 + 3 * 512, memory: MOST_MEMORY + 8 * (640 << 10) };

/// What may be lost.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    /// Pages in quarantine at a time.
    quarantined: u32,
    /// Bytes, in the end.
    memory: u64,
}

/// Grants that the own disk may have made more of.
const MORE_GRANTS: u32 = 32;

/// Bytes that may be gone: frames of the grant table stay, and what the heap is in pieces by.
const MOST_MEMORY: u64 = 4 << 20;

/// How long drivers may take to notice that the peer has gone.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// The grant table and the memory, before and now.
pub(crate) struct Losses {
    table: &'static Table<OwnPage>,
    granted: u32,
    free: u64,
    most: u32,
    allowed: Allowed,
}

impl Losses {
    /// None yet.
    pub(crate) fn new(allowed: Allowed) -> prism::Result<Self> {
        let table = table().ok_or("there is no grant table here")?;
        Ok(Self { table, granted: table.report().granted, free: free(), most: 0, allowed })
    }

    /// Looks how much is kept now.
    pub(crate) fn look(&mut self) {
        self.most = self.most.max(self.table.report().quarantined);
    }

    /// Whether as good as nothing is missing, now that the peer keeps nothing.
    pub(crate) async fn are_few(&self) -> bool {
        let mut waited = Duration::from_ticks(0);
        while !self.is_all_back() && waited < LIMIT {
            Timer::after(PAUSE).await;
            waited += PAUSE;
        }
        let lost = self.free.saturating_sub(free());
        println!("{}; {} before", self.table.report(), self.granted);
        println!("at most {} pages in quarantine, {} KiB of memory gone", self.most, lost >> 10);
        self.is_all_back() && self.most <= self.allowed.quarantined && lost <= self.allowed.memory
    }

    fn is_all_back(&self) -> bool {
        self.table.retry_quarantine();
        let report = self.table.report();
        report.quarantined == 0 && report.abandoned == 0 && report.granted <= self.granted + MORE_GRANTS
    }
}

/// Bytes that are free, those that the heap has grown by at the worst of times and has no use for among them.
fn free() -> u64 {
    memory::usage().free + memory::heap_usage().free
}
