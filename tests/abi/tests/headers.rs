// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares `xen-sys` with the installed headers.

use std::io::{Write, stderr};
use std::path::Path;

use prism_abi_test::comparison::Outcome;
use prism_abi_test::newer::NEWER;
use prism_abi_test::{comparison, ours, probe};

/// There are more facts than this. Fewer means that the generator lost some.
const FEWEST_FACTS: usize = 2500;

#[test]
fn every_item_agrees_with_the_installed_headers() {
    let include = probe::include_directory().unwrap_or_else(|problem| panic!("{problem}"));
    let theirs = probe::facts(&include, Path::new(env!("CARGO_TARGET_TMPDIR")))
        .unwrap_or_else(|problem| panic!("{problem}"));
    let outcome = comparison::compare(&ours::facts(), &theirs, NEWER);

    report(&include, &outcome);
    assert!(outcome.differences.is_empty(), "they differ:\n{}", outcome.differences.join("\n"));
    assert!(outcome.agreed >= FEWEST_FACTS, "only {} facts were compared", outcome.agreed);
}

/// Prints the counts past the test harness, which would swallow them.
fn report(include: &Path, outcome: &Outcome) {
    let line = format!(
        "xen-sys and {}: {} facts agree, {} differ, {} newer items not in these headers\n",
        include.join("xen").display(),
        outcome.agreed,
        outcome.differences.len(),
        outcome.missing.len(),
    );
    // A closed stderr is no reason to fail.
    let _ = stderr().write_all(line.as_bytes());
}
