// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the two sides.

use std::collections::BTreeSet;

use crate::Facts;
use crate::newer::{MISSING, Newer};

/// How the comparison went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Number of facts on which both sides agree.
    pub agreed: usize,
    /// Items the headers are too old for.
    pub missing: BTreeSet<String>,
    /// One line for each fact on which they differ, or which only one has.
    pub differences: Vec<String>,
}

/// Compares `ours` with `theirs`, in which items among `newer` may be missing.
pub fn compare(ours: &Facts, theirs: &Facts, newer: &[Newer]) -> Outcome {
    let mut outcome = Outcome {
        missing: theirs.iter().filter(|(_, value)| *value == MISSING).map(|(name, _)| name.clone()).collect(),
        ..Outcome::default()
    };
    let known = |name: &String| !outcome.missing.contains(item(name));
    let mut differences = Vec::new();
    for (name, value) in ours.iter().filter(|(name, _)| known(name)) {
        match theirs.get(name) {
            Some(other) if other == value => outcome.agreed += 1,
            Some(other) => differences.push(format!("{name}: xen-sys says {value}, the headers say {other}")),
            None => differences.push(format!("{name}: the C program does not print it")),
        }
    }
    let only_theirs = theirs.keys().filter(|name| known(name) && !ours.contains_key(*name));
    differences.extend(only_theirs.map(|name| format!("{name}: only the C program prints it")));
    differences.extend(inconsistencies(&outcome.missing, newer));
    outcome.differences = differences;
    outcome
}

/// The item a fact is about.
fn item(fact: &str) -> &str {
    fact.split([':', '.', '[', '(']).next().unwrap_or(fact)
}

/// Items that are missing although the headers have another of the same release, or a later one.
fn inconsistencies(missing: &BTreeSet<String>, newer: &[Newer]) -> Vec<String> {
    let release = newer
        .iter()
        .filter(|newer| !missing.contains(newer.name))
        .map(|newer| newer.since)
        .max()
        .unwrap_or(0);
    newer
        .iter()
        .filter(|newer| newer.since <= release && missing.contains(newer.name))
        .map(|newer| {
            let Newer { name, since, .. } = newer;
            format!("{name}: said to be new in Xen 4.{since}, but headers of Xen 4.{release} lack it")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWER: &[Newer] = &[
        Newer { name: "young", since: 18, sign: "young" },
        Newer { name: "younger", since: 20, sign: "younger" },
    ];

    fn facts(facts: &[(&str, &str)]) -> Facts {
        facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_differing_value_is_named() {
        let outcome = compare(&facts(&[("a", "1"), ("b", "2")]), &facts(&[("a", "1"), ("b", "3")]), &[]);
        assert_eq!(outcome.agreed, 1);
        assert_eq!(outcome.differences, ["b: xen-sys says 2, the headers say 3"]);
    }

    #[test]
    fn a_fact_only_one_side_has_is_a_difference() {
        let outcome = compare(&facts(&[("a", "1")]), &facts(&[("b", "1")]), &[]);
        assert_eq!(outcome.differences.len(), 2);
    }

    #[test]
    fn old_headers_may_lack_newer_items() {
        let ours = facts(&[("young", "1"), ("younger: size", "2"), ("younger.x: offset", "0")]);
        let theirs = facts(&[("young", "1"), ("younger", MISSING)]);
        let outcome = compare(&ours, &theirs, NEWER);
        assert_eq!(outcome.differences, [""; 0]);
        assert_eq!(outcome.missing.len(), 1);
    }

    #[test]
    fn new_headers_may_not_lack_an_older_item() {
        let theirs = facts(&[("young", MISSING), ("younger", "2")]);
        let outcome = compare(&facts(&[("young", "1"), ("younger", "2")]), &theirs, NEWER);
        assert_eq!(
            outcome.differences,
            ["young: said to be new in Xen 4.18, but headers of Xen 4.20 lack it"]
        );
    }
}
