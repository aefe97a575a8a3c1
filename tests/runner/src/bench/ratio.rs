// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of several pairs of runs, as one.

use super::trace::Cost;
use super::workload::{self, Workload};
use super::{Comparison, Pair};

/// What came out for a workload in an environment: medians of all pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Result {
    /// Requests in the same time, in units of Linux's.
    pub(super) speed: f64,
    /// Time of the guest's vCPU for a request, in units of Linux's.
    pub(super) cpu: f64,
    /// Entries into Xen for a request, ours and Linux's.
    pub(super) entries: [f64; 2],
    /// Events raised for a request, ours and Linux's.
    pub(super) notifications: [f64; 2],
}

impl Comparison {
    /// The results, each with its workload.
    pub(super) fn results(&self) -> impl Iterator<Item = (&'static Workload, Result)> {
        workload::ALL.iter().enumerate().map(|(index, workload)| (workload, self.result(index, workload)))
    }

    fn result(&self, index: usize, workload: &Workload) -> Result {
        let median = |value: &dyn Fn(&Pair) -> f64| median(self.pairs.iter().map(value).collect());
        let requests = workload.requests(self.divisor) as f64;
        let each = |count: fn(&Cost) -> u64| {
            [
                median(&|pair| count(&pair.ours.costs[index]) as f64 / requests),
                median(&|pair| count(&pair.linux.costs[index]) as f64 / requests),
            ]
        };
        Result {
            speed: median(&|pair| ratio(pair.linux.durations[index], pair.ours.durations[index])),
            cpu: median(&|pair| ratio(pair.ours.costs[index].cycles, pair.linux.costs[index].cycles)),
            entries: each(|cost| cost.entries),
            notifications: each(|cost| cost.notifications),
        }
    }
}

/// Not a number if one of them was too small to be seen.
fn ratio(one: u64, other: u64) -> f64 {
    if one == 0 || other == 0 { f64::NAN } else { one as f64 / other as f64 }
}

/// The one in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_has_no_ratio() {
        assert!(ratio(0, 7).is_nan() && ratio(7, 0).is_nan());
        assert_eq!(ratio(1, 2), 0.5);
    }

    #[test]
    fn one_odd_run_does_not_move_the_median() {
        assert_eq!(median(vec![2.0, 100.0, 1.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
