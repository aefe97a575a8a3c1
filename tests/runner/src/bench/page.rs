// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results for people to read.

use super::Comparison;

/// What stands above the table.
const ABOVE: &str = "\
# Benchmarks

Written by `scripts/bench blk`, which takes about a quarter of an hour; `scripts/bench blk --quick` prints one short run.

Prism's application `disk` and Linux 6.12 with the program of `tests/rival` (`O_DIRECT`, `io_uring`) run as guests of the
same Xen, one after the other, three times in each environment, with one vCPU. `xen-blkback` serves both a `null_blk`
device, which answers at once: what is compared is the way to the backend and back. The lab's machine is emulated and has
two CPUs, so there are no times here, only ratios of runs that follow one another and counts from Xen's trace, each the
median.

![Prism's disks compared with Linux's](blk.svg)

";

/// What stands below it.
const BELOW: &str = "
- **speed**: requests in the same time, in units of Linux's; more is better.
- **guest CPU**: time that the vCPU runs for a request, in units of Linux's; less is better. Linux's has a process in it
  that asks, and a system call.
- **entries**: hypercalls (PV) or exits (PVH, HVM; without those for the machine's own interrupts) for a request.
- **notifications**: events raised for a request. What an idle guest costs in the same time is taken off both.

An exit is dear in an emulated machine, so that environments cannot be compared with each other.
";

/// The table.
pub(super) fn table(comparisons: &[Comparison]) -> String {
    let mut lines = vec![
        "| environment | reads | speed | guest CPU | entries, Prism | Linux | notifications, Prism | Linux |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for comparison in comparisons {
        for (workload, result) in comparison.results() {
            let ([a, b], [c, d]) = (result.entries, result.notifications);
            lines.push(format!(
                "| {} | {} | {:.2} | {:.2} | {a:.2} | {b:.2} | {c:.2} | {d:.2} |",
                comparison.env.name(),
                workload.name,
                result.speed,
                result.cpu
            ));
        }
    }
    lines.join("\n") + "\n"
}

/// The page around the table.
pub(super) fn page(table: &str) -> String {
    format!("{ABOVE}{table}{BELOW}")
}
