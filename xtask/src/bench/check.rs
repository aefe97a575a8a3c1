// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether what can be counted is still as the documents have it.

use std::path::Path;

use anyhow::{Result, bail};

use super::{size, spectrum};
use crate::cli::Bench;
use crate::env::Env;
use crate::guest::session::Session;
use crate::project::Project;

/// So much larger an image may be, in hundredths: what a new feature takes, but not a driver that nobody
/// asked for.
const SIZE_BAND: u64 = 3;

/// So much more each column of the spectrum's table may cost: a part of it, and beside that so many entries.
/// Boots differ by when others are done, and what is done often by how often two things come at once.
pub(super) const COUNT_BAND: (f64, f64) = (0.1, 0.2);

/// The environments whose rows are compared unless others are named.
const ENVS: [Env; 2] = [Env::Pv, Env::Pvh];

/// Compares sizes, and rows of the spectrum, with the tables of the documents.
///
/// # Errors
/// If something is worse, or cannot be measured.
pub(super) fn run(project: &Project, options: &Bench) -> Result<u8> {
    let mut worse = size::worse(project, SIZE_BAND)?;
    worse.extend(spectrum::worse(project, options, &ENVS)?);
    told(&worse)?;
    println!("nothing is worse than the documents have it");
    Ok(0)
}

/// Compares the sizes of images.
///
/// # Errors
/// If one is larger than in the documents.
pub fn sizes(project: &Project) -> Result<()> {
    told(&size::worse(project, SIZE_BAND)?)
}

/// Compares what a boot and a disk read cost in an environment. The session's machine was lent the disk.
///
/// # Errors
/// If one costs more than in the documents.
pub fn boot_and_read(project: &Project, session: &mut Session, disk: &Path, env: Env) -> Result<()> {
    told(&spectrum::worse_boot_or_read(project, session, disk, env)?)
}

/// Whether a count is worse than the documents have it.
pub(super) fn is_worse(before: f64, now: f64) -> bool {
    let (part, more) = COUNT_BAND;
    now > before * (1.0 + part) + more
}

fn told(worse: &[String]) -> Result<()> {
    if !worse.is_empty() {
        bail!(
            "worse than docs/benchmarks.md has it: {}; mend it, or have the command write the table anew and \
             say why",
            worse.join("; ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_the_band_or_better_is_not_worse() {
        for (before, now, expected) in [
            (2.0, 2.3, false),
            (2.0, 2.5, true),
            (300.0, 325.0, false),
            (300.0, 340.0, true),
            (300.0, 9.0, false),
        ] {
            assert_eq!(is_worse(before, now), expected, "{now} after {before}");
        }
        assert!(told(&[]).is_ok() && told(&["a".to_owned()]).is_err());
    }
}
