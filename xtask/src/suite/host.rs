// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that cargo runs on this machine: formatting, lints, unit tests.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::host;
use crate::project::Project;

/// The cargo workspaces of the project, by their folders.
const IMAGES: &str = ".";
const RUNNER: &str = "xtask";
const ABI: &str = "tests/abi";
const PEER: &str = "tests/dom0-peer";
const LINUX_BASELINE: &str = "tests/linux-baseline";
const PNG: &str = "xtask/png";
const FUZZ: &str = "fuzz";

/// A test that is a run of cargo.
#[derive(Clone, Copy, Debug)]
pub struct HostTest {
    /// A sentence.
    pub name: &'static str,
    /// Whether it needs the lab.
    pub needs_lab: bool,
    /// Whether it takes minutes, and runs only when asked for.
    pub is_long: bool,
    /// The folder of the workspace.
    workspace: &'static str,
    arguments: &'static [&'static str],
    /// Whether images are left out: their crates have no tests, and no `std`.
    without_images: bool,
    /// A file it needs, and the package that brings it.
    file: Option<(&'static str, &'static str)>,
    /// Variables that cargo is run with.
    variables: &'static [(&'static str, &'static str)],
}

impl HostTest {
    const fn new(name: &'static str, workspace: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            name,
            needs_lab: false,
            is_long: false,
            workspace,
            arguments,
            without_images: false,
            file: None,
            variables: &[],
        }
    }

    const fn without_images(self) -> Self {
        Self { without_images: true, ..self }
    }

    const fn needing_file(self, file: &'static str, package: &'static str) -> Self {
        Self { file: Some((file, package)), ..self }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)]) -> Self {
        Self { variables, ..self }
    }

    const fn needing_lab(self) -> Self {
        Self { needs_lab: true, ..self }
    }

    const fn long(self) -> Self {
        Self { is_long: true, ..self }
    }
}

const FORMAT: &[&str] = &["fmt", "--all", "--check", "--", "-l"];
const LINT: &[&str] = &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
const LINT_IMAGES: &[&str] = &["clippy", "--quiet", "--workspace", "--", "-D", "warnings"];
const TEST: &[&str] = &["test", "--quiet", "--workspace"];
const TEST_LAB: &[&str] =
    &["test", "--quiet", "--test", "lab", "--", "--ignored", "--test-threads=1", BENCHMARKS, HANGS];
const BENCHMARKS: &str = "--skip=every_benchmark";
const HANGS: &str = "--skip=every_environment";
const TEST_BENCHMARKS: &[&str] = &["test", "--quiet", "--test", "lab", "--", "--ignored", "every_benchmark"];
const TEST_HANGS: &[&str] = &["test", "--quiet", "--test", "lab", "--", "--ignored", "every_environment"];

const TEST_APPLICATIONS: &[&str] =
    &["test", "--quiet", "--test", "applications", "--", "--ignored", "--test-threads=1"];

const DOCUMENT: &[&str] = &["doc", "--quiet", "--workspace", "--no-deps"];

/// In a folder of its own: every crate is built with the model checker's flag. Not optimized: the models take
/// some seconds so, and optimizing the model checker a minute.
const MODEL: &[&str] = &["test", "--quiet", "--package=xen", "--lib", "--target-dir=target/loom", "model"];
const MODEL_CHECKED: &[(&str, &str)] = &[("RUSTFLAGS", "--cfg loom"), ("CARGO_PROFILE_DEV_DEBUG", "0")];

const XEN_HEADER: &str = "/usr/include/xen/xen.h";

/// All of them: first what costs least and fails most often.
pub const TESTS: &[HostTest] = &[
    HostTest::new("the_kernels_sources_are_formatted", IMAGES, FORMAT),
    HostTest::new("the_runners_sources_are_formatted", RUNNER, FORMAT),
    HostTest::new("the_abi_tests_sources_are_formatted", ABI, FORMAT),
    HostTest::new("the_peers_sources_are_formatted", PEER, FORMAT),
    HostTest::new("the_linux_baselines_sources_are_formatted", LINUX_BASELINE, FORMAT),
    HostTest::new("the_sources_of_pictures_are_formatted", PNG, FORMAT),
    HostTest::new("the_fuzz_targets_sources_are_formatted", FUZZ, FORMAT),
    HostTest::new("the_kernels_sources_have_no_lints", IMAGES, LINT_IMAGES),
    HostTest::new("the_kernels_tests_have_no_lints", IMAGES, LINT).without_images(),
    HostTest::new("the_runners_sources_have_no_lints", RUNNER, LINT),
    HostTest::new("the_abi_tests_sources_have_no_lints", ABI, LINT),
    HostTest::new("the_peers_sources_have_no_lints", PEER, LINT),
    HostTest::new("the_linux_baselines_sources_have_no_lints", LINUX_BASELINE, LINT),
    HostTest::new("the_kernels_crates_pass_their_unit_tests", IMAGES, TEST).without_images(),
    HostTest::new("the_documentation_has_no_dead_links", IMAGES, DOCUMENT)
        .without_images()
        .with(&[("RUSTDOCFLAGS", "-D warnings")]),
    HostTest::new("no_order_of_accesses_breaks_a_promise", IMAGES, MODEL).with(MODEL_CHECKED),
    HostTest::new("the_runner_passes_its_unit_tests", RUNNER, TEST),
    HostTest::new("the_peer_passes_its_unit_tests", PEER, TEST),
    HostTest::new("xens_headers_agree_with_the_bindings", ABI, TEST).needing_file(XEN_HEADER, "libxen-dev"),
    HostTest::new("the_lab_keeps_its_promises", RUNNER, TEST_LAB).needing_lab(),
    HostTest::new("the_benchmarks_of_the_documents_work", RUNNER, TEST_BENCHMARKS).needing_lab().long(),
    HostTest::new("a_guest_that_hangs_is_shown_in_every_environment", RUNNER, TEST_HANGS)
        .needing_lab()
        .long(),
    HostTest::new("applications_of_ones_own_work_and_fail_as_told", RUNNER, TEST_APPLICATIONS).needing_lab(),
];

/// A test that has run: what came of it, and how long it took.
type Ended<'t> = (&'t HostTest, Result<(bool, String)>, Duration);

/// Runs them, one after the other, in a place of its own beside something else.
pub fn run_beside<'t>(project: &Project, tests: &[&'t HostTest]) -> Vec<Ended<'t>> {
    tests.iter().map(|test| test.run(project)).collect()
}

/// Counts tests that have run.
pub fn count(ended: Vec<Ended<'_>>, tally: &mut Tally) {
    ended.into_iter().for_each(|(test, output, took)| test.count(output, took, tally));
}

/// Runs them, two at a time, and counts their results. Those that build in the same folder follow each other,
/// as cargo would have them wait; while one of them links or runs, the others have a processor.
pub fn run(project: &Project, tests: &[&HostTest], tally: &mut Tally) {
    let (sender, ended) = mpsc::channel();
    thread::scope(|scope| {
        for beside in [false, true] {
            let sender = sender.clone();
            let mine = tests.iter().filter(move |test| test.builds_beside() == beside);
            scope.spawn(move || {
                for test in mine {
                    // Whoever receives it lives as long.
                    let _ = sender.send(test.run(project));
                }
            });
        }
        drop(sender);
        ended.into_iter().for_each(|(test, output, took)| test.count(output, took, tally));
    });
}

impl HostTest {
    /// Whether it builds elsewhere than where the kernel's crates are built for tests.
    fn builds_beside(&self) -> bool {
        self.workspace != IMAGES || self.arguments.iter().any(|word| word.starts_with("--target-dir"))
    }

    /// What the report counts it as.
    fn kind(&self) -> &'static str {
        match self.arguments.first() {
            Some(&"fmt") => "formats",
            Some(&"clippy") => "lints",
            Some(&"doc") => "documents",
            _ => "tests",
        }
    }

    fn run(&self, project: &Project) -> Ended<'_> {
        let begun = Instant::now();
        let output = self.output(project);
        (self, output, begun.elapsed())
    }

    fn count(&self, output: Result<(bool, String)>, took: Duration, tally: &mut Tally) {
        tally.add_kind(self.kind(), took);
        match output {
            Ok((true, text)) => tally.pass(self.name, passed(&text).max(1), took),
            Ok((false, text)) => tally.fail(self.name, &text, took),
            Err(error) => tally.fail(self.name, &format!("{error:#}"), took),
        }
    }

    fn output(&self, project: &Project) -> Result<(bool, String)> {
        if let Some((file, package)) = self.file {
            host::require_file(file, package)?;
        }
        let mut command = Command::new("cargo");
        command.args(&self.arguments[..1]);
        if self.without_images {
            for app in project.apps()? {
                command.args(["--exclude", &app.package]);
            }
        }
        command.args(&self.arguments[1..]);
        let output = command
            .envs(self.variables.iter().copied())
            .current_dir(project.root().join(self.workspace))
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((output.status.success(), text.concat()))
    }
}

/// How many tests cargo reports as passed.
fn passed(text: &str) -> usize {
    let counts = text.lines().filter_map(|line| {
        let (count, _) = line.strip_prefix("test result: ok. ")?.split_once(" passed")?;
        count.parse::<usize>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_a_folder_is_not_run_at_the_same_time() {
        let beside = |name: &str| TESTS.iter().any(|test| test.name == name && test.builds_beside());
        assert!(!beside("the_kernels_tests_have_no_lints") && !beside("the_documentation_has_no_dead_links"));
        assert!(
            beside("no_order_of_accesses_breaks_a_promise") && beside("the_runner_passes_its_unit_tests")
        );
    }

    #[test]
    fn cargos_counts_are_added_up() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 1 ignored\n\
                    test result: ok. 5 passed; 0 failed\n";
        assert_eq!(passed(text), 7);
    }
}
