// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks of the built images themselves.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::mem;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Choice;
use super::tally::Tally;
use crate::bench::check;
use crate::image::build;
use crate::image::checks::{CHECKS, Subject};
use crate::image::panics::{self, Kind, Panics};
use crate::project::Project;

/// The images that are checked: the smallest, and the one that uses most.
const IMAGES: [&str; 2] = ["hello", "smoke"];

/// The test of the panics that are left, and the images that are looked at: the smallest one, a server, and
/// two driver domains.
const PANICS: &str = "image_every_panic_that_is_left_has_a_reason";
const IMAGES_WITH_PANICS: [&str; 4] = ["hello", "httpd", "storage", "router"];

/// The test of how large images are.
const SIZES: &str = "image_sizes_are_no_more_than_the_documents_say";

/// Where the reasons are, from the project's root.
const LEDGER: &str = "docs/panics.md";

/// The names of all checks.
pub fn names() -> Vec<String> {
    let checks = IMAGES.iter().flat_map(|image| CHECKS.iter().map(move |(check, _)| name(image, check)));
    checks.chain([PANICS, SIZES].map(str::to_owned)).collect()
}

fn name(image: &str, check: &str) -> String {
    format!("image_{check}/{image}")
}

/// Builds the images and runs the chosen checks.
pub fn run(project: &Project, choice: &Choice, tally: &mut Tally) {
    for image in IMAGES {
        let mut chosen = CHECKS.iter().filter(|(check, _)| choice.has(&name(image, check))).peekable();
        if chosen.peek().is_none() {
            continue;
        }
        let begun = Instant::now();
        let subject = build::build_by_name(project, image).and_then(|image| Subject::read(&image));
        // The first check pays for building.
        let mut spent = begun.elapsed();
        for (sentence, check) in chosen {
            let begun = Instant::now();
            let name = name(image, sentence);
            let result = match &subject {
                Ok(subject) => check(subject).map_err(|error| format!("{error:#}")),
                Err(error) => Err(format!("{error:#}")),
            };
            let took = begun.elapsed() + mem::take(&mut spent);
            match result {
                Ok(()) => tally.pass(&name, 1, took),
                Err(reason) => tally.fail(&name, &reason, took),
            }
        }
    }
    // Most of these images are built for no other quick test.
    type Check = fn(&Project) -> Result<()>;
    let of_several: [(_, Check); 2] = [(PANICS, check_panics), (SIZES, check::sizes)];
    for (name, test) in of_several {
        if *choice == Choice::Quick || !choice.has(name) {
            continue;
        }
        let begun = Instant::now();
        match test(project) {
            Ok(()) => tally.pass(name, 1, begun.elapsed()),
            Err(error) => tally.fail(name, &format!("{error:#}"), begun.elapsed()),
        }
    }
}

/// Compares the panics of the images with the list of those that have a reason.
fn check_panics(project: &Project) -> Result<()> {
    let ledger = fs::read_to_string(project.root().join(LEDGER)).with_context(|| format!("no {LEDGER}"))?;
    let reasons = reasons(&ledger)?;
    let mut left = Panics::new();
    for name in IMAGES_WITH_PANICS {
        let image = build::build_by_name(project, name)?;
        let debug = image.debug.context("the runner's images have their symbols beside them")?;
        for (blamed, lines) in panics::of_image(&debug, project.root())? {
            left.entry(blamed).or_default().extend(lines);
        }
    }
    let mut text = String::new();
    for ((place, kind), lines) in &left {
        if !reasons.contains(&(place.clone(), *kind)) {
            let lines: Vec<&str> = lines.iter().take(3).map(String::as_str).collect();
            let _ = writeln!(text, "{place} can panic: {kind}, at {}", lines.join(", "));
        }
    }
    if !text.is_empty() {
        bail!(
            "{text}use what cannot panic (get, checked_div, let else), or tell in {LEDGER} why it is never reached"
        );
    }
    Ok(())
}

/// The rows of the list: who may panic of what.
fn reasons(ledger: &str) -> Result<BTreeSet<(String, Kind)>> {
    let mut found = BTreeSet::new();
    for line in ledger.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [place, kinds, reason] = cells.as_slice() else { bail!("{LEDGER}: not three cells: {line}") };
        if reason.trim().is_empty() {
            bail!("{LEDGER}: no reason: {line}");
        }
        for kind in kinds.split(", ") {
            let kind = Kind::of_name(kind).with_context(|| format!("{LEDGER}: no kind of panics: {kind}"))?;
            found.insert((place.trim_matches('`').to_owned(), kind));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_that_may_panic_has_a_reason_and_exists() {
        let project = Project::find().unwrap();
        let ledger = fs::read_to_string(project.root().join(LEDGER)).unwrap();
        for (place, _) in reasons(&ledger).unwrap() {
            let is_file = place.contains('/');
            assert!(!is_file || project.root().join(&place).exists(), "{LEDGER}: there is no {place}");
        }
        assert!(reasons("| `xen` | memory |  |").is_err());
        assert!(reasons("| `xen` | bad luck | no reason |").is_err());
    }
}
