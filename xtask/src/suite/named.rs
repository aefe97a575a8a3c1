// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tests that documents name: each of them exists.

use std::collections::BTreeSet;
use std::fs;

use super::names;
use super::sources::{files, root, text};
use crate::project::Project;

/// Where it is told which test shows which claim.
const LEDGER: &str = "SECURITY.md";

/// The names of the tests that need no guest, the targets of the fuzzers among them.
pub(super) fn on_hosts() -> BTreeSet<String> {
    let root = root();
    let sources = files(&root, ".rs").into_iter();
    let functions = sources.flat_map(|file| tests_of(&fs::read_to_string(root.join(file)).unwrap()));
    let mut found: BTreeSet<String> = functions.collect();
    let needs_no_guest = |name: &String| name.starts_with("fuzzing_") || name.starts_with("image_");
    found.extend(names(&Project::find().unwrap()).unwrap().into_iter().filter(needs_no_guest));
    found
}

/// The names of all tests, those with guests without their environments.
fn all() -> BTreeSet<String> {
    let mut found = on_hosts();
    for name in names(&Project::find().unwrap()).unwrap() {
        found.extend(name.split_once('/').map(|(test, _)| test.to_owned()));
        found.insert(name);
    }
    found
}

/// The functions of a source that are tests.
fn tests_of(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line == "#[test]" {
            is_test = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            found.extend(name.filter(|_| is_test).map(|(name, _)| name.to_owned()));
            is_test = false;
        }
    }
    found
}

/// The rows of a document's tables whose last column is headed `tests`: all cells, and the names in the last.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut is_ledger = false;
    for line in document.lines() {
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else {
            is_ledger &= line.starts_with("|---");
            continue;
        };
        let last = row.rsplit(" | ").next().unwrap_or_default();
        if last == "tests" {
            is_ledger = true;
        } else if is_ledger {
            found.push((row.to_owned(), last.split('`').skip(1).step_by(2).map(str::to_owned).collect()));
        }
    }
    found
}

#[test]
fn every_claim_names_a_test_and_every_test_exists() {
    let all = all();
    let rows = rows(&text(LEDGER));
    assert!(rows.len() > 30, "{LEDGER} has lost its tables");
    for (row, tests) in rows {
        assert!(!tests.is_empty() || row.contains("not tested: "), "{LEDGER} names no test for: {row}");
        for test in tests {
            assert!(all.contains(&test), "{LEDGER} names {test}, which is no test");
        }
    }
}

#[test]
fn tests_are_found_in_sources() {
    let source =
        "#[test]\n#[ignore = \"slow\"]\nfn a_b() {}\nfn c() {}\n    #[test]\n    fn d(x in 0..1) {}\n";
    assert_eq!(tests_of(source), ["a_b", "d"]);
}

#[test]
fn names_are_read_off_the_last_column() {
    let document = "| a | tests |\n|---|---|\n| `no` | `yes`, `too` |\n\n| b |\n|---|\n| `no` |\n";
    let names: Vec<Vec<String>> = rows(document).into_iter().map(|(_, names)| names).collect();
    assert_eq!(names, [["yes", "too"]]);
}
