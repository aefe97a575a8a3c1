// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest costs Xen, counted by Xen's own trace.

use anyhow::{Result, bail, ensure};

use super::LabTest;
use crate::env::Env;
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::lab::machine::Role;
use crate::project::Project;
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
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/pvh", env: Env::Pvh, long: false },
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/pvhvm", env: Env::Pvhvm, long: true },
    IdleTest { name: "ten_seconds_of_sleep_cost_nothing/hvm", env: Env::Hvm, long: true },
];

/// Calls and exits that the longer run may cost more: a console that is read a bit later, a xenstored that
/// answers a bit later, a clock that is read once more. A guest that ticked would differ by a thousand.
const SLACK: u64 = 12;

/// Comparisons of which one has to succeed: on a busy machine, emulated devices are asked more often
/// whether they are ready, and the clock takes more readings to be measured.
const TRIES: u32 = 3;

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

    fn run(&self, project: &Project) -> Result<()> {
        self.compare(project)
    }
}

impl IdleTest {
    /// A guest that sleeps for fifteen seconds calls Xen, and is interrupted by it, no more often
    /// than one that sleeps for five, in which it has found all its devices.
    fn compare(&self, project: &Project) -> Result<()> {
        let image = build::build_by_name(project, "idle")?;
        let lab = project.lab();
        let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, &[])?;
        // The first guest of a machine meets a toolstack and a xenstored that are not warm yet.
        self.cost(&mut session, &image, "seconds=0")?;
        let mut told = String::new();
        for _ in 0..TRIES {
            let (short, short_told) = self.cost(&mut session, &image, "seconds=5")?;
            let (long, long_told) = self.cost(&mut session, &image, "seconds=15")?;
            if long.waits <= short.waits + SLACK && long.other <= short.other + SLACK {
                return Ok(());
            }
            told += &format!(
                "five seconds of sleep cost {short:?}, fifteen cost {long:?}\n{short_told}{long_told}"
            );
        }
        bail!("{told}");
    }

    fn cost(&self, session: &mut Session, image: &Image, words: &str) -> Result<(Cost, String)> {
        let job =
            Job { command_line: words.to_owned(), settings: NATIVE_TSC, ..Job::new(self.env, image.clone()) };
        Cost::and_console_of_run(session, &job)
    }
}

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
