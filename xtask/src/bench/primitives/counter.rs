// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counting what a guest does between its marks, by what each environment offers for that.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::rounds::{self, Event};
use super::table::{self, Cell};
use super::xen_trace;
use crate::env::{Env, Place};
use crate::guest::session::Session;
use crate::guest::{Job, Outcome, kvm, xl};
use crate::lab::agent::quoted;
use crate::verdict::Verdict;

/// Time that a guest may take.
pub(super) const LIMIT: Duration = Duration::from_secs(300);

/// Readings of the time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\""];

/// How a guest makes its marks there. A PV domain's CPUID is no exit; with a shim below it, it is.
pub(super) const fn marks(env: Env) -> &'static str {
    match env {
        Env::Pv => "hypercall",
        Env::Fv => "line",
        _ => "cpuid",
    }
}

/// Runs the job, which must succeed, and counts.
pub(super) fn count(session: &mut Session, job: &Job) -> Result<Vec<(String, Cell)>> {
    let (outcome, events) = match job.env.place() {
        Place::XenLab => by_xen(session, job)?,
        Place::KvmLab => by_kvm(session, job)?,
        Place::Direct => by_qemu(session, job)?,
    };
    ensure!(
        outcome.verdict == Verdict::Success,
        "{} failed ({:?}):\n{}{}{}",
        job.image.name,
        outcome.ending,
        outcome.console,
        outcome.machine,
        outcome.companion.map(|companion| companion.output).unwrap_or_default()
    );
    let told = table::of_console(&outcome.console);
    ensure!(!told.is_empty(), "the guest told of no primitive:\n{}", outcome.console);
    let measured = told.iter().filter(|(_, told)| told.is_ok()).count();
    let mut rounds = rounds::of_events(&events, measured)?.into_iter();
    let cells = told.into_iter().map(|(name, told)| {
        let cell = match told {
            Ok(times) => Cell::of_round(&rounds.next().unwrap_or_default(), times),
            Err(reason) => Cell::Not(reason),
        };
        (name, cell)
    });
    Ok(cells.collect())
}

/// Xen's own trace.
fn by_xen(session: &mut Session, job: &Job) -> Result<(Outcome, Vec<Event>)> {
    let job = Job { settings: SETTINGS, ..job.clone() };
    let (outcome, trace) = xl::run_recorded(session, &job, xen_trace::TRACED)?;
    Ok((outcome, xen_trace::events(&trace)?))
}

/// Where Linux keeps its traces, and what it has read so far.
const TRACING: &str = "/sys/kernel/tracing";

/// Where the image's code is. A firmware that ran before it is lower, or moves to the end of memory.
const CODE: &str = "guest_rip >= 0x100000 && guest_rip < 0x1000000";

/// Linux's trace of KVM.
fn by_kvm(session: &mut Session, job: &Job) -> Result<(Outcome, Vec<Event>)> {
    let event = format!("{TRACING}/events/kvm/kvm_exit");
    session.agent().check(&format!(
        "mountpoint -q {TRACING} || mount -t tracefs tracing {TRACING}; echo 32768 >{TRACING}/buffer_size_kb; \
         echo >{TRACING}/trace; echo '{CODE}' >{event}/filter; echo 1 >{event}/enable"
    ))?;
    let outcome = kvm::run(session, job);
    let told = session.agent().check(&format!(
        "echo 0 >{event}/enable; grep -h '^overrun: [^0]' {TRACING}/per_cpu/cpu*/stats; awk {} {TRACING}/trace \
         >/tmp/exits; echo >{TRACING}/trace",
        quoted(EXITS)
    ));
    let (outcome, lost) = (outcome?, told?);
    ensure!(lost.trim().is_empty(), "Linux had no room for all of the trace: {lost}");
    let exits = session.agent().get("/tmp/exits")?;
    Ok((outcome, rounds::of_kvm(&String::from_utf8_lossy(&exits))?))
}

/// The reason and the address of each exit.
const EXITS: &str = "/ kvm_exit: / { for (i = 1; i < NF; i++) { if ($i == \"reason\") r = $(i + 1); \
     if ($i == \"rip\") a = $(i + 1) } print r, a }";

/// Where QEMU notes accesses down.
const ACCESSES: &str = "/tmp/accesses";

/// The direction, the address, the value and the device of each access.
const FIELDS: &str = "s/^.*memory_region_ops_\\(read\\|write\\) cpu [0-9].* addr 0x\\([0-9a-f]*\\) \
     value 0x\\([0-9a-f]*\\) .*name '\\(.*\\)'.*$/\\1 \\2 \\3 \\4/p";

/// QEMU's own trace of what vCPUs do to emulated devices, from the image's first line on.
fn by_qemu(session: &mut Session, job: &Job) -> Result<(Outcome, Vec<Event>)> {
    let qemu = &["-trace", "memory_region_ops_*", "-D", ACCESSES];
    let outcome = kvm::run(session, &Job { qemu, ..job.clone() })?;
    session.agent().check(&format!("sed -n {} {ACCESSES} >/tmp/exits; rm {ACCESSES}", quoted(FIELDS)))?;
    let accesses = session.agent().get("/tmp/exits")?;
    Ok((outcome, rounds::of_qemu(&String::from_utf8_lossy(&accesses))?))
}
