// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest that runs tells of itself: a few aligned lines each, for a console or a log. Each report ends
//! with a line end, and fits a screen of 80 columns.

use core::fmt::{self, Display, Formatter};
use core::time::Duration;

use prism_executor::account::short_name;

use crate::memory::{self, HeapUsage, Usage};
use crate::task::{self, TaskUsage};

/// Tasks that are listed: the rest is counted.
const MAX_TASKS: usize = 40;
/// Columns for the name of a task; the end of a longer one is shown.
const NAME: usize = 48;

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

/// The name of a task, of 48 characters at most.
pub fn task_name(name: &'static str) -> impl Display {
    fmt::from_fn(move |f| {
        let skipped = short_name(name).count().saturating_sub(NAME);
        short_name(name).skip(skipped).try_for_each(|character| write!(f, "{character}"))
    })
}
