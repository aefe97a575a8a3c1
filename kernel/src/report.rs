// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest that runs tells of itself: a few aligned lines each, for a console or a log. Each report ends
//! with a line end, and fits a screen of 25 rows and 80 columns, but for addresses.

use core::fmt::{self, Display, Formatter};
use core::time::Duration;

use prism_drivers::net::Counters;
use prism_executor::account::short_name;

use crate::devices::disks::{self, Disk, Geometry};
use crate::memory::{self, HeapUsage, Usage};
use crate::network;
use crate::task::{self, TaskUsage};

/// Tasks that are listed: the rest is counted.
const MAX_TASKS: usize = 20;
/// Disks that are listed; a screen has interfaces, too.
const MAX_DISKS: usize = 20;
/// Columns for the name of a task; the end of a longer one is shown.
const NAME: usize = 44;

/// Memory and heap, in KiB.
pub fn memory() -> impl Display {
    fmt::from_fn(|f| {
        let Usage { total, free } = memory::usage();
        let heap: HeapUsage = memory::heap_usage();
        writeln!(f, "{:8} {:>12} {:>12} {:>12}", "", "total KiB", "used KiB", "free KiB")?;
        row(f, "memory", total, free)?;
        row(f, "heap", heap.total, heap.free)?;
        writeln!(f, "{} allocations; memory of the heap counts as used", heap.allocations)
    })
}

fn row(f: &mut Formatter<'_>, name: &str, total: u64, free: u64) -> fmt::Result {
    let used = total.saturating_sub(free);
    writeln!(f, "{name:8} {:>12} {:>12} {:>12}", total / 1024, used / 1024, free / 1024)
}

/// The tasks that run, oldest first: number, vCPU, how often each was polled and how long that took, in
/// milliseconds since boot.
pub fn tasks() -> impl Display {
    fmt::from_fn(|f| {
        let tasks = task::tasks();
        writeln!(f, "{:>6} {:>4} {:>10} {:>10}  task", "number", "vcpu", "polls", "busy ms")?;
        tasks.iter().take(MAX_TASKS).try_for_each(|task| write_task(f, task))?;
        let rest = tasks.len().saturating_sub(MAX_TASKS);
        if rest != 0 {
            writeln!(f, "and {rest} more")?;
        }
        let busy: Duration = tasks.iter().map(|task| task.busy).sum();
        writeln!(f, "{} tasks, busy for {} ms in all", tasks.len(), busy.as_millis())
    })
}

fn write_task(f: &mut Formatter<'_>, task: &TaskUsage) -> fmt::Result {
    let TaskUsage { id, name, vcpu, polls, busy } = task;
    write!(f, "{id:>6} {vcpu:>4} {polls:>10} {:>10}  ", busy.as_millis())?;
    writeln!(f, "{}", task_name(name))
}

/// The disks that work and the interfaces, each with its driver; disks and interfaces that the application
/// has not asked for are not looked for.
pub fn devices() -> impl Display {
    fmt::from_fn(|f| {
        let disks = disks::working();
        writeln!(f, "{:12} {:12} {:>10} {:>7}", "device", "driver", "MiB", "sector")?;
        disks.iter().take(MAX_DISKS).try_for_each(|disk| write_disk(f, disk.as_ref()))?;
        if disks.len() > MAX_DISKS {
            writeln!(f, "and {} more disks", disks.len() - MAX_DISKS)?;
        }
        for (index, interface) in network::known() {
            writeln!(f, "network {index:<4} {:12}", interface.driver().unwrap_or("not connected"))?;
        }
        if disks.is_empty() && network::known().next().is_none() {
            writeln!(f, "none that the application has asked for")?;
        }
        Ok(())
    })
}

fn write_disk(f: &mut Formatter<'_>, disk: &Disk) -> fmt::Result {
    let Geometry { bytes, sector_size, read_only, removable, .. } = disk.geometry();
    let read_only = if read_only { " read-only" } else { "" };
    let removable = if removable { " removable" } else { "" };
    let (name, driver) = (disk.name(), disk.driver());
    writeln!(f, "{name:12} {driver:12} {:>10} {sector_size:>7}{read_only}{removable}", bytes >> 20)
}

/// The interfaces that the application has asked for: addresses, of those that were opened on the calling
/// vCPU, and traffic in packets.
pub fn interfaces() -> impl Display {
    fmt::from_fn(|f| {
        for (index, interface) in network::known() {
            writeln!(f, "network {index}: {}", interface.driver().unwrap_or("not connected"))?;
            match network::opened(index) {
                Some(stack) => writeln!(f, "    {}", network::summary(&interface, &stack))?,
                None => writeln!(f, "    not opened on this vCPU, or without an address")?,
            }
            write_counters(f, &interface.counters())?;
        }
        if network::known().next().is_none() {
            writeln!(f, "none that the application has asked for")?;
        }
        Ok(())
    })
}

fn write_counters(f: &mut Formatter<'_>, counters: &Counters) -> fmt::Result {
    let Counters { received, damaged, sent, merged, lost, failed, connections } = counters;
    writeln!(f, "    packets: {received} received, {damaged} damaged; {sent} sent, {merged} merged")?;
    writeln!(f, "    {lost} lost without a backend, {failed} failed; connected {connections} times")
}

/// The name of a task, of 44 characters at most.
pub fn task_name(name: &'static str) -> impl Display {
    fmt::from_fn(move |f| {
        let skipped = short_name(name).count().saturating_sub(NAME);
        short_name(name).skip(skipped).try_for_each(|character| write!(f, "{character}"))
    })
}
