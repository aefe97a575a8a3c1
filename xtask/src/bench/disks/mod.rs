// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads of a disk.

mod runs;
mod workload;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::baseline::Baseline;
use super::cost::Cost;
use super::{Contender, Measured};
use crate::env::Env;
use crate::guest::beside::{Beside, When};
use crate::guest::session::Session;
use crate::guest::{Job, xl};
use crate::image::{Image, build};
use crate::project::Project;
use crate::verdict::Verdict;

pub(super) use runs::runs;

/// What the picture shows.
pub(super) const TITLE: &str = "Reads of a paravirtual disk";

/// The workloads' requests are divided by this in a quick run.
const QUICKER: u64 = 10;

/// A guest that reads.
struct Reader {
    image: Image,
    ramdisk: Option<&'static str>,
    /// Its own words for its kernel.
    words: &'static str,
    /// The workloads' requests are divided by this.
    divisor: u64,
}

/// A disk that answers at once: what is measured is the way there and back. Readings of the
/// time-stamp counter do not trap.
const SETTINGS: &[&str] = &["tsc_mode = \"native\"", "disk = [ \"/dev/nullb0,raw,xvda,w\" ]"];

/// Time that a run may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Traces what lies between marks.
const COMMAND: &str = concat!(include_str!("../cost.sh"), include_str!("marks.sh"));

/// Prism's application `disk`, and Linux with the program of `tests/linux-baseline`.
pub(super) fn contenders(
    project: &Project,
    session: &mut Session,
    is_quick: bool,
) -> Result<[Box<dyn Contender>; 2]> {
    session.agent().check("modprobe null_blk")?;
    let divisor = if is_quick { QUICKER } else { 1 };
    let ours = Reader { image: build::build_by_name(project, "disk")?, ramdisk: None, words: "", divisor };
    let Baseline { image, ramdisk, words } = Baseline::make(project, session)?;
    Ok([Box::new(ours), Box::new(Reader { image, ramdisk: Some(ramdisk), words, divisor })])
}

impl Contender for Reader {
    fn run(&self, session: &mut Session, env: Env) -> Result<Vec<Measured>> {
        let job = Job {
            command_line: format!("{}{}", self.words, workload::words(self.divisor)),
            memory: 256,
            ramdisk: self.ramdisk,
            settings: SETTINGS,
            beside: Some(Beside { when: When::Said("mark begin"), command: COMMAND, ends_guest: false }),
            limit: LIMIT,
            ..Job::new(env, self.image.clone())
        };
        let outcome = xl::run(session, &job)?;
        let said = outcome.companion.map(|companion| companion.output).unwrap_or_default();
        ensure!(
            outcome.verdict == Verdict::Success,
            "{} failed ({:?}):\n{}{}{said}",
            self.image.name,
            outcome.ending,
            outcome.console,
            outcome.machine
        );
        let runs: [_; workload::ALL.len()] =
            runs(&outcome.console).with_context(|| format!("a run is missing:\n{}", outcome.console))?;
        let costs: [_; workload::ALL.len()] =
            costs(&said).with_context(|| format!("a trace is missing:\n{said}"))?;
        let all = workload::ALL.iter().zip(runs).zip(costs);
        let measured = all.map(|((workload, (units, took)), cost)| Measured {
            name: workload.name,
            rate: units * 1e9 / took,
            units,
            cost,
        });
        Ok(measured.collect())
    }
}

/// What each workload cost, beyond the first trace, in which nothing was done.
pub(super) fn costs<const N: usize>(traces: &str) -> Option<[Cost; N]> {
    let mut summaries = traces.split("=== trace").skip(1);
    let nothing = Cost::of_summary(summaries.next()?)?;
    let mut costs = [Cost::default(); N];
    for cost in &mut costs {
        *cost = Cost::of_summary(summaries.next()?)?.beyond(nothing);
    }
    Some(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_costs_is_taken_off() {
        let trace = |calls: u32| {
            format!("=== trace\n|-- Domain 2 --|\n-- v0 --\n running: 1 0.01s 7\n hypercall {calls}\n")
        };
        let traces = [5, 7, 5, 9].map(trace).concat();
        assert_eq!(costs(&traces).map(|costs| costs.map(|cost| cost.entries)), Some([2, 0, 4]));
        assert_eq!(costs::<3>(&trace(5)), None);
    }
}
