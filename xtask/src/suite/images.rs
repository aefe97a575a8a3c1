// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks of the built images themselves.

use std::mem;
use std::time::Instant;

use super::Choice;
use super::tally::Tally;
use crate::image::build;
use crate::image::checks::{CHECKS, Subject};
use crate::project::Project;

/// The images that are checked: the smallest, and the one that uses most.
const IMAGES: [&str; 2] = ["hello", "smoke"];

/// The names of all checks.
pub fn names() -> Vec<String> {
    IMAGES.iter().flat_map(|image| CHECKS.iter().map(move |(check, _)| name(image, check))).collect()
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
}
