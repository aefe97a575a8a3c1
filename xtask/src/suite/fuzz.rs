// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzzers: what they found before is replayed, which shows at once what a change broke, and they look
//! for a second on for more. Among the long tests they take minutes, and `fuzz/run` is for hours.

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

/// Seconds for each target, the inputs that are replayed among them.
const SECONDS: u32 = 1;

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
            let judged = child
                .and_then(|child| Ok(child.wait_with_output()?))
                .and_then(|output| judge(output, corpus(&folder, target)?));
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
    // New inputs go to the first folder: what is committed stays as it is.
    let finds = format!("target/finds/{target}");
    for needed in [&finds, "artifacts"] {
        fs::create_dir_all(folder.join(needed)).context("cannot make a folder for inputs")?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--release", "--", "-max_len=8192", "-timeout=10"]);
    cargo.args(["-verbosity=0", "-print_final_stats=1"]);
    cargo.args([
        format!("-max_total_time={seconds}"),
        format!("-artifact_prefix=artifacts/{target}-"),
        finds,
        corpus,
    ]);
    cargo
        .env("FUZZ", target)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    cargo.spawn().context("cannot run cargo")
}

/// How many inputs of a target are committed.
fn corpus(folder: &Path, target: &str) -> Result<u64> {
    let corpus = folder.join("corpus").join(target);
    let entries = fs::read_dir(&corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    Ok(entries.count() as u64)
}

/// A fuzzer that ran no inputs, or not even those that are committed, has found nothing either.
fn judge(output: Output, committed: u64) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    ensure!(committed > 0, "no inputs for it are committed");
    ensure!(runs(&text).is_some_and(|runs| runs >= committed), "it did not run {committed} inputs:\n{text}");
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
    fn a_fuzzer_passes_if_it_ran_what_is_committed_and_ended_well() {
        let ran = |runs: u64| format!("x\nstat::number_of_executed_units: {runs}\n");
        assert!(judge(ended(0, &ran(30)), 30).is_ok());
        assert!(judge(ended(0, &ran(29)), 30).is_err());
        assert!(judge(ended(0, &ran(30)), 0).is_err());
        assert!(judge(ended(0, ""), 30).is_err());
        assert!(judge(ended(77 << 8, &ran(99)), 30).is_err());
    }

    #[test]
    fn each_target_has_inputs_that_are_small() {
        let folder = Project::find().unwrap().root().join("fuzz");
        let targets = targets(&Project::find().unwrap()).unwrap();
        for target in &targets {
            assert!(corpus(&folder, target).is_ok_and(|count| (1..=100).contains(&count)), "{target}");
        }
        let known = fs::read_dir(folder.join("corpus")).unwrap().map(|entry| entry.unwrap().path());
        let (mut names, mut bytes) = (Vec::new(), 0);
        for target in known {
            names.push(target.file_name().unwrap().to_str().unwrap().to_owned());
            let inputs = fs::read_dir(&target).unwrap().map(|input| input.unwrap().metadata().unwrap());
            bytes += inputs.map(|input| input.len()).sum::<u64>();
        }
        names.sort();
        assert_eq!(names, targets, "whose inputs there are");
        assert!(bytes <= 1 << 20, "{bytes} bytes of inputs: fuzz/run merge makes them fewer");
    }
}
