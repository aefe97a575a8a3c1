// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzzers, some seconds each: long enough to find what a change broke at once, not what has been there
//! for long. Among the long tests they take minutes, and `fuzz/run` is for hours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Choice;
use super::tally::Tally;
use crate::host;
use crate::project::Project;

/// Seconds for each target.
const SECONDS: u32 = 3;

/// The same among the long tests.
const LONG_SECONDS: u32 = 600;

/// What libFuzzer is written in.
const COMPILER: (&str, &str) = ("/usr/bin/c++", "g++");

/// The names of all targets' tests.
///
/// # Errors
/// If the folder of targets cannot be read.
pub fn names(project: &Project) -> Result<Vec<String>> {
    Ok(targets(project)?.iter().map(|target| name(target)).collect())
}

fn name(target: &str) -> String {
    format!("fuzzing_finds_nothing/{target}")
}

/// The targets, each a file.
fn targets(project: &Project) -> Result<Vec<String>> {
    let folder = project.root().join("fuzz/targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let stems = paths.iter().filter_map(|path| path.file_stem()?.to_str());
    let mut targets: Vec<String> = stems.map(str::to_owned).collect();
    targets.sort();
    Ok(targets)
}

/// Builds the fuzzers and runs the chosen ones, as many at a time as there are CPUs.
///
/// # Errors
/// If the folder of targets cannot be read.
pub fn run(project: &Project, choice: &Choice, tally: &mut Tally) -> Result<()> {
    let mut chosen = targets(project)?;
    chosen.retain(|target| *choice == Choice::Long || choice.has(&name(target)));
    if chosen.is_empty() {
        return Ok(());
    }
    let folder = project.root().join("fuzz");
    if let Err(error) = build(&folder) {
        chosen.iter().for_each(|target| tally.fail(&name(target), &format!("{error:#}"), Duration::ZERO));
        return Ok(());
    }
    let seconds = if *choice == Choice::Long { LONG_SECONDS } else { SECONDS };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    for together in chosen.chunks(cpus) {
        let begun = Instant::now();
        let started: Vec<_> = together.iter().map(|target| start(&folder, target, seconds)).collect();
        for (target, child) in together.iter().zip(started) {
            let judged = child.and_then(|child| Ok(child.wait_with_output()?)).and_then(judge);
            match judged {
                Ok(()) => tally.pass(&name(target), 1, begun.elapsed()),
                Err(error) => tally.fail(&name(target), &format!("{error:#}"), begun.elapsed()),
            }
        }
    }
    Ok(())
}

fn build(folder: &Path) -> Result<()> {
    let (file, package) = COMPILER;
    host::require_file(file, package)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]).current_dir(folder).stdin(Stdio::null());
    let output = cargo.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn start(folder: &Path, target: &str, seconds: u32) -> Result<Child> {
    let corpus = format!("corpus/{target}");
    for needed in [&corpus, "artifacts"] {
        fs::create_dir_all(folder.join(needed)).context("cannot make a folder for inputs")?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "--bin", target, "--", "-max_len=8192", "-timeout=10"]);
    cargo.args(["-verbosity=0", "-print_final_stats=1"]);
    cargo.args([
        format!("-max_total_time={seconds}"),
        format!("-artifact_prefix=artifacts/{target}-"),
        corpus,
    ]);
    cargo.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    cargo.spawn().context("cannot run cargo")
}

/// A fuzzer that ran no input has found nothing either.
fn judge(output: Output) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    ensure!(runs(&text).is_some_and(|runs| runs > 0), "it ran no input:\n{text}");
    Ok(())
}

/// How many inputs libFuzzer says it ran.
fn runs(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(status: i32, text: &str) -> Output {
        Output { status: ExitStatus::from_raw(status), stdout: Vec::new(), stderr: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_fuzzer_passes_if_it_ran_inputs_and_ended_well() {
        assert!(judge(ended(0, "x\nstat::number_of_executed_units: 1234\n")).is_ok());
        assert!(judge(ended(0, "stat::number_of_executed_units: 0\n")).is_err());
        assert!(judge(ended(0, "")).is_err());
        assert!(judge(ended(77 << 8, "stat::number_of_executed_units: 9\n")).is_err());
    }
}
