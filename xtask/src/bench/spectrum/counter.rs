// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counting how often a guest enters what is beneath it, from its first instruction to its last.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::cost::Cost;
use crate::env::{Env, Place};
use crate::guest::session::Session;
use crate::guest::{Job, Outcome, kvm, xl};
use crate::lab::agent::quoted;
use crate::verdict::Verdict;

/// Time that a guest may take.
pub(super) const LIMIT: Duration = Duration::from_secs(240);

/// Readings of the time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\""];

/// What came of a guest.
pub(super) struct Counted {
    pub(super) entries: u64,
    pub(super) console: String,
}

/// What is counted in an environment.
pub(in crate::bench) const fn unit(env: Env) -> &'static str {
    match env {
        Env::Pv => "hypercalls",
        Env::Fv => "device accesses",
        _ => "exits",
    }
}

/// Runs the job, which must succeed, and counts.
pub(super) fn count(session: &mut Session, job: &Job) -> Result<Counted> {
    let (outcome, entries) = match job.env.place() {
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
    Ok(Counted { entries, console: outcome.console })
}

/// Xen's own trace.
fn by_xen(session: &mut Session, job: &Job) -> Result<(Outcome, u64)> {
    let (outcome, summary) = xl::run_traced(session, &Job { settings: SETTINGS, ..job.clone() })?;
    let cost = Cost::of_summary(&summary).with_context(|| format!("a trace is missing:\n{summary}"))?;
    Ok((outcome, cost.entries))
}

/// Linux's trace event for exits.
const EXITS: &str = "/sys/kernel/tracing/events/kvm/kvm_exit";

/// Where the image's code is. A firmware that ran before it is lower, or moves to the end of memory.
const CODE: &str = "guest_rip >= 0x100000 && guest_rip < 0x1000000";

/// Linux's trace of KVM, without the machine's own interrupts and non-maskable ones (`SVM_EXIT_INTR` and
/// `SVM_EXIT_NMI`).
fn by_kvm(session: &mut Session, job: &Job) -> Result<(Outcome, u64)> {
    let trigger = format!("hist:keys=exit_reason if {CODE} && exit_reason != 0x60 && exit_reason != 0x61");
    session.agent().check(&format!(
        "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracing /sys/kernel/tracing; \
         echo '{trigger}' >{EXITS}/trigger"
    ))?;
    let outcome = kvm::run(session, job);
    let counted = session.agent().check(&format!("cat {EXITS}/hist; echo '!{trigger}' >{EXITS}/trigger"));
    let (outcome, counted) = (outcome?, counted?);
    let entries = of_histogram(&counted).with_context(|| format!("nothing was counted:\n{counted}"))?;
    Ok((outcome, entries))
}

/// The total of a trace event's histogram, all of which must have been kept.
fn of_histogram(text: &str) -> Option<u64> {
    let total =
        |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().parse::<u64>().ok());
    (total("Dropped:")? == 0).then(|| total("Hits:"))?
}

/// Where QEMU notes accesses down.
const ACCESSES: &str = "/tmp/accesses";

/// Counts those after the last use of QEMU's configuration device, from which the firmware reads the image.
const AFTER_FIRMWARE: &str = "/ cpu [0-9]/ { n = /fwcfg/ ? 0 : n + 1 } END { print n + 0 }";

/// QEMU's own trace of what vCPUs do to emulated devices.
fn by_qemu(session: &mut Session, job: &Job) -> Result<(Outcome, u64)> {
    let qemu = &["-trace", "memory_region_ops_*", "-D", ACCESSES];
    let outcome = kvm::run(session, &Job { qemu, ..job.clone() })?;
    let count =
        session.agent().check(&format!("awk {} {ACCESSES}; rm {ACCESSES}", quoted(AFTER_FIRMWARE)))?;
    Ok((outcome, count.trim().parse().context("accesses were not counted")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_only_if_it_is_whole() {
        let text = |dropped| {
            format!(
                "# event histogram\n\n{{ exit_reason:  120 }} hitcount:  9\n\nTotals:\n    Hits: 9\n    \
                     Entries: 1\n    Dropped: {dropped}\n"
            )
        };
        assert_eq!(of_histogram(&text(0)), Some(9));
        assert_eq!(of_histogram(&text(1)), None);
        assert_eq!(of_histogram(""), None);
    }
}
