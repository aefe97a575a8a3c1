// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest costs Xen, counted by Xen's own trace.

use anyhow::{Context, Result, bail, ensure};

use super::LabTest;
use super::shared::Shared;
use crate::env::Env;
use crate::guest::beside::{Beside, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::build;
use crate::verdict::Verdict;

/// A test that sleeping costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct IdleTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    long: bool,
}

/// All of them.
pub const TESTS: [IdleTest; 4] = [
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/pv", env: Env::Pv, long: false },
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/pvh", env: Env::Pvh, long: true },
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/pvhvm", env: Env::Pvhvm, long: true },
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/hvm", env: Env::Hvm, long: true },
];

/// Calls and exits that ten seconds of sleep may cost: nothing is due. A console that is read late, or an
/// xenstored that answers late, is an event and the next sleep. A guest that ticked would need a thousand.
const MOST: u64 = 4;

/// By default Xen takes each reading of the time-stamp counter as an exit in this lab: how often the
/// kernel looks at the clock while its last words are read would be counted too.
pub(super) const NATIVE_TSC: &[&str] = &["tsc_mode = \"native\""];

impl LabTest for IdleTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.compare(shared)
    }
}

impl IdleTest {
    /// A guest that sleeps enters Xen for nothing in ten seconds; and then it awakes, which shows that Xen
    /// tells.
    fn compare(&self, shared: &mut Shared<'_>) -> Result<()> {
        let image = build::build_by_name(shared.project, "idle")?;
        let job = Job {
            command_line: "seconds=15".to_owned(),
            beside: Some(Beside { when: When::Said("asleep"), command: TWO_TRACES, ends_guest: false }),
            settings: NATIVE_TSC,
            ..Job::new(self.env, image)
        };
        let outcome = shared.session()?.run(&job)?;
        ensure!(outcome.verdict == Verdict::Success, "the guest failed:\n{}", outcome.console);
        let beside = outcome.companion.context("nothing was traced")?;
        let (asleep, awake) = beside.output.split_once(NEXT).context("there are not two traces")?;
        let awake = Cost::of_summary(awake).context("the trace does not tell of the guest's end")?;
        let asleep = Cost::of_summary(asleep).unwrap_or_default();
        ensure!(awake.other > 0, "awaking cost nothing: {awake:?}");
        ensure!(asleep.waits + asleep.other <= MOST, "ten seconds of sleep cost {asleep:?}");
        Ok(())
    }
}

/// Traces ten seconds, when the guest's last words have been read, and then until it has ended.
const TWO_TRACES: &str = "trace() { xentrace -D -S 1024 -e 0x0ffff000 /tmp/idle & tracer=$!; \
     sleep \"$1\"; kill -INT $tracer; wait $tracer; xenalyze -s /tmp/idle 2>/dev/null; rm -f /tmp/idle; }; \
     sleep 2; trace 10; echo '== awake =='; trace 6";

/// What stands between the two.
const NEXT: &str = "== awake ==";

/// How often a guest went to sleep, and how often it entered Xen for anything else but the
/// machine's own interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) waits: u64,
    pub(super) other: u64,
    /// Of the others, hypercalls about event channels: nearly all of them notify somebody.
    pub(super) events: u64,
}

impl Cost {
    /// Of a guest that must end with success.
    pub(super) fn of_run(session: &mut Session, job: &Job) -> Result<Self> {
        Self::and_console_of_run(session, job).map(|(cost, _)| cost)
    }

    /// The same, with what the guest wrote.
    pub(super) fn and_console_of_run(session: &mut Session, job: &Job) -> Result<(Self, String)> {
        let (outcome, summary) = xl::run_traced(session, job)?;
        ensure!(outcome.verdict == Verdict::Success, "the guest failed:\n{}", outcome.console);
        match Self::of_summary(&summary) {
            Some(cost) => Ok((cost, outcome.console)),
            None => bail!("the trace does not tell of the guest:\n{summary}"),
        }
    }

    /// From `xenalyze`'s summary: the block of the one domain that is neither dom0 nor Xen's idle
    /// domain, with a line for each kind of exit (HVM, PVH) or hypercall (PV).
    fn of_summary(summary: &str) -> Option<Self> {
        let block = summary.split("|-- Domain ").find(|block| {
            !block.starts_with("0 ") && !block.starts_with("32767 ") && block.contains(" --|")
        })?;
        let mut cost = Self::default();
        for (name, count) in block.lines().filter_map(counted) {
            match name {
                "VMEXIT_HLT" | "sched_op" => cost.waits += count,
                "VMEXIT_INTR" => {}
                "evtchn_op" => cost.events += count,
                name if name.starts_with("VMEXIT_") || name == "hypercall" => cost.other += count,
                _ => {}
            }
        }
        (cost != Self::default()).then_some(cost)
    }
}

/// The name and the number of a line such as ` VMEXIT_HLT   1  1.12s ...` or `  hypercall  72`, or of
/// a hypercall's own line, `    sched_op  [29]: 3`.
fn counted(line: &str) -> Option<(&str, u64)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let count = words.find_map(|word| word.parse().ok())?;
    Some((name, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "|-- Domain 0 --|\n  hypercall  71742\n|-- Domain 3 --|\nExit reasons:\n \
                           VMEXIT_INTR   6  0.01s  0.15%\n VMEXIT_HLT   1  1.12s 24.86%\n VMEXIT_VMMCALL   32  \
                           0.04s\n|-- Domain 32767 --|\n  hypercall 3\n";

    #[test]
    fn only_the_guests_own_exits_are_counted() {
        assert_eq!(Cost::of_summary(SUMMARY), Some(Cost { waits: 1, other: 32, events: 0 }));
    }

    #[test]
    fn a_trace_without_a_guest_tells_nothing() {
        assert_eq!(Cost::of_summary("|-- Domain 0 --|\n  hypercall  71742\n"), None);
    }
}
