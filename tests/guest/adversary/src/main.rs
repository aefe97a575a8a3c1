// SPDX-License-Identifier: MIT OR Apache-2.0
//! Goes on with its work while a backend in dom0 plays an adversary: `tests/dom0-peer`. It uses whatever disk
//! comes, and interfaces with `use=vif`. What it counts in `data/pulse` are rounds with its own disk, and of
//! a task that has none.
#![no_std]
#![no_main]

extern crate alloc;

mod disks;
mod interfaces;
mod losses;

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use prism::disks::Disk;
use prism::embassy_time::{Duration, Timer};
use prism::xen::xenstore::Client;
use prism::{Context, Verdict, println};

use losses::Losses;

prism::app!(main, params: ["use"]);

/// How often the guest says how far it is.
const BEAT: Duration = Duration::from_millis(50);

async fn main(context: Context) -> prism::Result<Verdict> {
    let Some(store) = context.store() else {
        println!("there is no xenstore here");
        return Ok(Verdict::Skip);
    };
    let own = context.first_disk().await.ok_or("it has no disk of its own")?;
    let (rounds, turns) = (Counter::default(), Counter::default());
    context.spawn(disks::keep_up(Arc::clone(&own), rounds.clone()))?;
    context.spawn(take_turns(turns.clone()))?;
    // What its own disk ever needs, it has after some rounds.
    while rounds.count() < 10 {
        Timer::after(BEAT).await;
    }
    let with_interfaces = context.command_line().get("use") == Some("vif");
    if with_interfaces {
        interfaces::use_all(context)?;
    }
    let mut losses = Losses::new(if with_interfaces { losses::OF_INTERFACES } else { losses::OF_DISKS })?;
    println!("ready for a peer");
    beat(&context, store, &own, [&rounds, &turns], &mut losses).await?;
    let good = losses.are_few().await;
    println!("{} rounds with its own disk, {} turns of a task", rounds.count(), turns.count());
    Ok(if good && !rounds.has_failed() { Verdict::Success } else { Verdict::Failure })
}

/// Says how far it is, and uses the disks that come, until the peer has enough.
async fn beat(
    context: &Context,
    store: &Client,
    own: &Arc<Disk>,
    counters: [&Counter; 2],
    losses: &mut Losses,
) -> prism::Result {
    let mut others = disks::Others::default();
    while store.read("data/peer/enough").await.is_err() {
        let [rounds, turns] = counters.map(Counter::count);
        store.write("data/pulse", &format!("{rounds} {turns}")).await?;
        others.use_all(context, own).await?;
        losses.look();
        if counters[0].has_failed() {
            return Err("its own disk failed".into());
        }
        Timer::after(BEAT).await;
    }
    println!("disks of the peer's: {others}");
    Ok(())
}

/// Counts, for as long as the guest runs.
async fn take_turns(turns: Counter) {
    loop {
        turns.add();
        Timer::after(Duration::from_millis(5)).await;
    }
}

/// What has been done, as several tasks see it.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

/// What a counter says that will not grow again.
const FAILED: u64 = u64::MAX;

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self) {
        self.0.store(FAILED, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn has_failed(&self) -> bool {
        self.count() == FAILED
    }
}
