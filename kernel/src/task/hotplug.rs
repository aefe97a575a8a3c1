// SPDX-License-Identifier: MIT OR Apache-2.0
//! vCPUs that come and go while the domain runs: `xl vcpu-set` writes `cpu/N/availability`.
//!
//! One that comes is started as at boot, and takes tasks. One that is to go takes no new tasks, and goes when
//! its last one has ended: a task stays on its vCPU. It says why if that is not at once.

use core::convert::Infallible;
use core::fmt;

use embassy_futures::poll_once;
use embassy_time::{Duration, with_timeout};
use log::{info, warn};
use prism_boot::Acpi;
use prism_executor::hotplug::{Change, Wanted};
use prism_executor::presence::Obstacle;
use xen::control::{self, VCPUS};
use xen::xenstore::{Client, Result};

use crate::hypervisor::{event, xenstore};
use crate::report::task_name;
use crate::task;
use crate::task::executor;
use crate::task::smp::{self, Vcpus};

/// How long a vCPU without tasks has to go off before its obstacles are told.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Tasks that are named among the obstacles.
const NAMED_TASKS: usize = 3;
/// Ports that a vCPU has of its own: its timer's, and that by which others wake it.
const OWN_PORTS: usize = 2;

/// Brings vCPUs online and offline as the toolstack wants them, for ever or until xenstored refuses.
pub(crate) async fn serve(store: &'static Client, acpi: &Acpi, vcpus: Vcpus) {
    let mut wanted = Wanted::new(&vcpus.wanted);
    let Err(error) =
        xenstore::persist(store, async || watch(store, acpi, vcpus.most, &mut wanted).await).await;
    warn!("vcpus: cannot watch for changes, `xl vcpu-set` will not work: {error}");
}

async fn watch(store: &Client, acpi: &Acpi, most: u32, wanted: &mut Wanted) -> Result<Infallible> {
    let mut watch = store.watch(VCPUS).await?;
    loop {
        watch.next().await?;
        // All are looked at, however many were written to.
        while poll_once(watch.next()).is_ready() {}
        let said = control::availability(store, most).await?;
        for change in wanted.changes(&said) {
            match change {
                Change::Start(number) => start(acpi, number),
                Change::Stop(number) => stop(number).await,
                Change::Invalid(number) => {
                    warn!("{VCPUS}/{number}/availability: neither online nor offline, ignored");
                }
            }
        }
    }
}

fn is_online(number: u32) -> bool {
    executor::online().any(|online| online == number)
}

fn start(acpi: &Acpi, number: u32) {
    if executor::stay(number) {
        return info!("vCPU {number}: stays online");
    }
    if is_online(number) {
        return;
    }
    match smp::start_later(acpi, number) {
        Ok(()) => info!("vCPU {number}: online"),
        Err(reason) => warn!("vCPU {number} not started: {reason}"),
    }
}

async fn stop(number: u32) {
    if number == 0 {
        return warn!("vCPU 0 stays online: it booted, and leads the others");
    }
    if event::bound_to(number) > OWN_PORTS {
        return warn!("vCPU {number} stays online: event channels are bound to it");
    }
    if !executor::ask_to_leave(number) {
        return;
    }
    if with_timeout(LEAVE_TIMEOUT, executor::left(number)).await.is_err() {
        tell_obstacle(number);
    }
}

fn tell_obstacle(number: u32) {
    match executor::obstacle(number) {
        Some(Obstacle::Uncounted) => {
            warn!("vCPU {number} stays online: it has tasks of a `Spawner`, which nobody counts");
        }
        Some(Obstacle::Tasks(count)) => warn!(
            "vCPU {number} takes no new tasks, and stays online until those that are bound to it have ended, \
             {count} now: {}",
            Names(number)
        ),
        None => warn!("vCPU {number}: still online, as it is slow"),
    }
}

/// The names of some tasks of a vCPU.
struct Names(u32);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = task::tasks();
        let own = tasks.iter().filter(|task| task.vcpu == self.0).take(NAMED_TASKS);
        own.enumerate().try_for_each(|(index, task)| {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", task_name(task.name))
        })
    }
}
