// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks that do most, again and again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use prism::task::{self, Either, TaskUsage, Timer, select};
use prism::{Context, memory, println, report};
use prism_terminal::activity::{Activity, Seen, activity};
use prism_terminal::clock;

use crate::{Call, Running};

/// Seconds from one look to the next.
const INTERVAL: u64 = 2;
/// Tasks that are shown.
const MAX_TASKS: usize = 16;
/// Goes to the first row of the terminal, and erases all (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[J";

pub(crate) fn top(call: Call<'_>) -> Running<'_> {
    Box::pin(async move {
        let mut before = (Vec::new(), Duration::ZERO);
        loop {
            let (tasks, now) = (task::tasks(), call.context.uptime());
            let seen: Vec<Seen> = tasks.iter().map(seen).collect();
            let did = activity(&before.0, &seen, now.saturating_sub(before.1));
            show(&call.context, &tasks, &did);
            before = (seen, now);
            if let Either::First(_) = select(call.keyboard.key(), Timer::after_secs(INTERVAL)).await {
                return Ok(());
            }
        }
    })
}

fn seen(task: &TaskUsage) -> Seen {
    Seen { id: task.id, polls: task.polls, busy: task.busy }
}

fn show(context: &Context, tasks: &[TaskUsage], did: &[Activity]) {
    let memory = memory::usage();
    let used = memory.total.saturating_sub(memory.free) >> 20;
    println!(
        "{CLEAR}up {}, {} tasks on {} vCPUs, {used} of {} MiB used; any key ends this",
        clock::span(context.uptime()),
        tasks.len(),
        context.vcpus().count(),
        memory.total >> 20
    );
    println!("{:>6} {:>4} {:>6} {:>8}  task", "number", "vcpu", "%", "polls/s");
    for Activity { id, permille, polls } in did.iter().take(MAX_TASKS) {
        let Some(task) = tasks.iter().find(|task| task.id == *id) else { continue };
        let (percent, tenth) = (permille / 10, permille % 10);
        println!(
            "{id:>6} {:>4} {percent:>4}.{tenth} {polls:>8}  {}",
            task.vcpu,
            report::task_name(task.name)
        );
    }
}
