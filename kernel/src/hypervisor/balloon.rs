// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ballooning: the guest has as much memory as the toolstack wants it to have (`xl mem-set`).
//!
//! What to do next is decided in [`xen::balloon`]; [`memory::balloon`](crate::memory::balloon) does it, a
//! bounded number of pages at a time, so that other tasks and events do not wait. Whatever the target is,
//! [some memory](prism_boot::frames::floor_of) stays free, and what is in use stays where it is: a target
//! that cannot be reached is tried for again, ever more seldom.

use core::cell::Cell;
use core::convert::Infallible;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use log::{info, warn};
use prism_arch::machine::Machine;
use prism_boot::capabilities::XenCapabilities;
use xen::balloon::{FEATURE, Full, Goal, Retries, Step, TARGET, Target};
use xen::xenstore::{Client, Result};

use crate::boot::environment::Environment;
use crate::hypervisor::{meminfo, xenstore};
use crate::memory::balloon;

/// Pause between steps.
const PAUSE: Duration = Duration::from_millis(1);

const KIB_PER_PAGE: u64 = 4;

/// Whether the domain can give memory back, and take it again.
fn is_possible(environment: &Environment) -> bool {
    let xen = environment.capabilities.xen.as_ref();
    let emulated = environment.xen.is_none_or(|xen| xen.extra.is_none());
    !emulated && xen.is_some_and(XenCapabilities::can_balloon)
}

/// Follows the toolstack's target for ever, or until xenstored refuses. Where that is not possible, tells the
/// toolstack so.
pub(crate) async fn serve(
    machine: &'static dyn Machine,
    store: &'static Client,
    environment: &'static Environment,
) {
    if !is_possible(environment) {
        let _ = store.write(FEATURE, "0").await;
        return;
    }
    while balloon::return_unpopulated(machine) {
        Timer::after(PAUSE).await;
    }
    let balloon = Balloon { machine, store, full: Cell::new(None), last: Cell::new(None) };
    join(balloon.serve(), meminfo::serve(store)).await;
}

struct Balloon {
    machine: &'static dyn Machine,
    store: &'static Client,
    /// What the target is compared with, once there was one.
    full: Cell<Option<Full>>,
    /// The last target that was followed: what is odd about it is told once.
    last: Cell<Option<u64>>,
}

impl Balloon {
    async fn serve(&self) {
        let Err(error) = xenstore::persist(self.store, async || self.watch().await).await;
        warn!("balloon: cannot watch for the toolstack's target, `xl mem-set` will not work: {error}");
    }

    async fn watch(&self) -> Result<Infallible> {
        let mut changes = self.store.watch(TARGET).await?;
        loop {
            changes.next().await?;
            while let Either::First(change) = select(changes.next(), self.follow()).await {
                change?;
            }
        }
    }

    /// Goes to the target that stands in xenstore now.
    async fn follow(&self) -> Result<()> {
        // Each time: a restored domain has another xenstore. Some toolstacks make this read-only.
        let _ = self.store.write(FEATURE, "1").await;
        let target = match Target::read(self.store).await? {
            Target::Kib(target) => target,
            Target::None => return Ok(()),
            Target::Unreadable(reason) => {
                warn!("balloon: ignored: {reason}");
                return Ok(());
            }
        };
        let full = match self.full.get() {
            Some(full) => full,
            None => self.compare(target).await?,
        };
        let is_new = self.last.replace(Some(target)) != Some(target);
        let goal = full.goal(target);
        if goal.beyond && is_new {
            let most = goal.pages * KIB_PER_PAGE;
            warn!("balloon: the target of {target} KiB is more than the guest can have, taking {most} KiB");
        }
        self.go(target, goal, is_new).await;
        Ok(())
    }

    /// Finds what targets are compared with. The first one is `target`.
    async fn compare(&self, target: u64) -> Result<Full> {
        let memory = balloon::memory();
        let pages = memory.present + memory.absent;
        let full = if self.machine.auto_translated() {
            Full::told(self.store, pages, memory.absent, target).await?
        } else {
            Full::counting_all(pages)
        };
        self.full.set(Some(full));
        Ok(full)
    }

    /// Goes to the goal, or as near to it as is possible.
    async fn go(&self, target: u64, goal: Goal, mut is_new: bool) {
        let mut retries = Retries::new();
        let mut moved = false;
        loop {
            let done = match Step::towards(goal.pages, balloon::memory()) {
                Step::Reached => break,
                Step::GiveBack(count) => balloon::give_back(self.machine, count),
                Step::Take(count) => balloon::take(self.machine, count),
                Step::Short => Ok(0),
            };
            if matches!(done, Ok(1..)) {
                moved = true;
                retries = Retries::new();
                Timer::after(PAUSE).await;
                continue;
            }
            if core::mem::take(&mut is_new) {
                warn!("balloon: the target of {target} KiB is not reached, {}", reason(goal, done.err()));
            }
            let Some(pause) = retries.next_pause() else { return };
            Timer::after(Duration::from_secs(pause.as_secs())).await;
        }
        if moved {
            let memory = balloon::memory();
            let (now, free) = (memory.present * KIB_PER_PAGE, memory.spare * KIB_PER_PAGE);
            info!(
                "balloon: the target of {target} KiB is reached: {now} KiB, of which {free} KiB can be spared"
            );
        }
    }
}

/// Why a goal is not reached.
fn reason(goal: Goal, refused: Option<xen::Errno>) -> alloc::string::String {
    let present = balloon::memory().present;
    let missing = present.abs_diff(goal.pages) * KIB_PER_PAGE;
    match refused {
        Some(errno) => alloc::format!("Xen refused the next of {missing} KiB ({errno})"),
        None if present < goal.pages => alloc::format!("Xen has no more for now: {missing} KiB are missing"),
        None => alloc::format!(
            "{missing} KiB more are in use; {} KiB stay free in any case",
            balloon::floor() * KIB_PER_PAGE
        ),
    }
}
