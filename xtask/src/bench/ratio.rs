// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of several pairs of runs, as one.

use super::{Comparison, Measured, Pair};

/// What came out for a workload in an environment: medians of all pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Result {
    /// Whether some of the pairs were measured while the machine had nothing else to do. Only these tell of
    /// `speed` and `cpu`, if there are any.
    pub(super) is_quiet: bool,
    /// Units in the same time, in units of Linux's.
    pub(super) speed: f64,
    /// Time of the guest's vCPU for a unit, in units of Linux's.
    pub(super) cpu: f64,
    /// Entries into Xen for a unit, ours and Linux's.
    pub(super) entries: [f64; 2],
    /// Events raised for a unit, ours and Linux's.
    pub(super) notifications: [f64; 2],
}

impl Comparison {
    /// The results, each with the name of its workload.
    pub(super) fn results(&self) -> impl Iterator<Item = (&'static str, Result)> {
        let names = self.pairs.first().into_iter().flat_map(|pair| pair.ours.iter().map(|one| one.name));
        names.enumerate().map(|(index, name)| (name, self.result(index)))
    }

    fn result(&self, index: usize) -> Result {
        let each = |value: &dyn Fn(&Measured) -> f64| {
            let values = |side: fn(&Pair) -> &Vec<Measured>| {
                median(self.pairs.iter().map(|pair| value(&side(pair)[index])).collect())
            };
            [values(|pair| &pair.ours), values(|pair| &pair.linux)]
        };
        let is_quiet = self.pairs.iter().any(Pair::is_quiet);
        let ratio = |value: &dyn Fn(&Measured) -> f64| {
            let told = self.pairs.iter().filter(|pair| pair.is_quiet() || !is_quiet);
            median(told.map(|pair| ratio(value(&pair.ours[index]), value(&pair.linux[index]))).collect())
        };
        Result {
            is_quiet,
            speed: ratio(&|measured| measured.rate),
            cpu: ratio(&|measured| measured.cost.cycles as f64 / measured.units),
            entries: each(&|measured| measured.cost.entries as f64 / measured.units),
            notifications: each(&|measured| measured.cost.notifications as f64 / measured.units),
        }
    }
}

/// Not a number if one of them was too small to be seen.
fn ratio(one: f64, other: f64) -> f64 {
    if one > 0.0 && other > 0.0 { one / other } else { f64::NAN }
}

/// The one in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Cost;
    use super::*;
    use crate::env::Env;

    #[test]
    fn what_was_not_seen_has_no_ratio() {
        assert!(ratio(0.0, 7.0).is_nan() && ratio(7.0, 0.0).is_nan());
        assert_eq!(ratio(1.0, 2.0), 0.5);
    }

    #[test]
    fn of_times_only_those_count_that_were_taken_on_a_quiet_machine_if_there_are_any() {
        let measured = |rate, entries| {
            let cost = Cost { entries, notifications: 0, cycles: 4 };
            vec![Measured { name: "a", rate, units: 2.0, cost }]
        };
        let pair = |rate, in_vain| Pair { ours: measured(rate, 8), linux: measured(2.0, 6), in_vain };
        let result = |pairs| Comparison { env: Env::Pv, pairs }.result(0);
        let mixed = result(vec![pair(40.0, 0.5), pair(6.0, 0.1), pair(60.0, 0.11)]);
        assert_eq!((mixed.is_quiet, mixed.speed, mixed.entries), (true, 3.0, [4.0, 3.0]));
        let busy = result(vec![pair(40.0, 0.5)]);
        assert_eq!((busy.is_quiet, busy.speed), (false, 20.0));
    }

    #[test]
    fn one_odd_run_does_not_move_the_median() {
        assert_eq!(median(vec![2.0, 100.0, 1.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
