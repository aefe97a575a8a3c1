// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tests: those of this machine alone, and guests in every environment.

mod ahead;
pub mod clock;
pub mod committed;
pub mod daemons;
pub mod disk_cost;
pub mod driver_domains;
mod faults;
pub mod fuzz;
pub mod grub;
pub mod guests;
pub mod host;
pub mod hosts;
pub mod images;
mod matrix;
#[cfg(test)]
mod named;
pub mod network_cost;
pub mod oxenstored;
pub mod plain;
pub mod shared;
#[cfg(test)]
mod sources;
pub mod tally;
mod times;
pub mod traced;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guest::schedule::First;
use crate::image::build;
use crate::lab::machine::Role;
use crate::nearest::nearest;
use crate::project::Project;
use ahead::Ahead;
use guests::GuestCase;
use host::HostTest;
use shared::Shared;
use tally::Tally;

/// Disk space for a run on a machine where nothing was built yet: crates, images, the lab, the guests' disks.
const SPACE_NEEDED: u64 = 7 << 30;

/// Which tests to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Those that need nothing but this machine.
    Quick,
    /// All but the long ones.
    All,
    /// The long ones: they repeat for many minutes what others do a few times, or do it in the environments
    /// where it is no different.
    Long,
    /// Those whose name contains one of these words, or ends with it if there is a slash in it.
    Matching(Vec<String>),
}

impl Choice {
    /// What the words of the command line mean; `None` asks for the list of tests.
    pub fn of_words(words: &[String]) -> Option<Self> {
        match words {
            [] => Some(Self::All),
            [word] if word == "quick" => Some(Self::Quick),
            [word] if word == "long" => Some(Self::Long),
            [word] if word == "list" => None,
            words => Some(Self::Matching(words.to_vec())),
        }
    }

    /// Whether a test of this name is chosen that is not a long one.
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Quick | Self::All => true,
            Self::Long => false,
            Self::Matching(words) => words.iter().any(|word| is_meant(name, word)),
        }
    }
}

/// Whether the word stands for the test: it is a part of its name, or its end if it has a slash, as `pv` is a
/// part of `pvh`.
fn is_meant(name: &str, word: &str) -> bool {
    if word.contains('/') { name.ends_with(word) } else { name.contains(word) }
}

/// A test with a machine of its own, or one that it shares with other such tests, after each other.
trait LabTest: Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Whether it shows again what another one shows elsewhere, and runs only when asked for.
    fn is_long(&self) -> bool;

    /// Runs it.
    ///
    /// # Errors
    /// What was not as it must be.
    fn run(&self, shared: &mut Shared<'_>) -> Result<()>;
}

/// All of them, in the order in which they run.
fn lab_tests() -> impl Iterator<Item = &'static dyn LabTest> {
    fn each<T: LabTest>(tests: &'static [T]) -> impl Iterator<Item = &'static dyn LabTest> {
        tests.iter().map(|test| test as &dyn LabTest)
    }
    each(&grub::TESTS)
        .chain(each(&plain::TESTS))
        .chain(each(&clock::TESTS))
        .chain(each(&traced::TESTS))
        .chain(each(&disk_cost::TESTS))
        .chain(each(&network_cost::TESTS))
        .chain(each(&committed::TESTS))
        .chain(each(&oxenstored::TESTS))
        .chain(each(&driver_domains::TESTS))
        .chain(each(&hosts::TESTS))
        .chain(each(&daemons::TESTS))
}

/// Runs the tests chosen by the words, or lists all of them.
///
/// # Errors
/// If no test is chosen, or the lab fails.
pub fn run(project: &Project, words: &[String]) -> Result<u8> {
    if words == [matrix::COMMAND] {
        return write_tables(project);
    }
    let Some(choice) = Choice::of_words(words) else {
        names(project)?.iter().for_each(|name| println!("{name}"));
        return Ok(0);
    };
    require_known(&choice, &names(project)?)?;
    let mut tally = Tally::new();
    let needs_lab = matches!(choice, Choice::All | Choice::Long);
    if needs_lab {
        if !project.lab().is_begun() {
            crate::host::require_space(project.root(), SPACE_NEEDED, "the first run of all tests")?;
        }
        project.lab().require_makeable(&Role::ALL)?;
    }
    let lab = needs_lab.then(|| Ahead::begin(project.lab()));
    let chosen = host::TESTS.iter().filter(|test| test.is_chosen(&choice));
    let (in_lab, alone): (Vec<&HostTest>, Vec<&HostTest>) = chosen.partition(|test| test.needs_lab);
    tally.begin("host tests");
    host::run(project, &alone, &mut tally);
    if choice == Choice::All {
        let begun = Instant::now();
        build::prepare_all(project)?;
        tally.beside("building images", begun.elapsed());
    }
    tally.begin("checks of images");
    images::run(project, &choice, &mut tally);
    if let Some(lab) = lab {
        tally.begin("the rest of the lab's build");
        lab.end(&mut tally);
    }
    if choice != Choice::Quick {
        run_more(project, &choice, &in_lab, &mut tally)?;
    }
    Ok(tally.finish())
}

/// Writes the documents that are made from the list of tests.
fn write_tables(project: &Project) -> Result<u8> {
    let (normal, long) = (guest_names(&Choice::All), guest_names(&Choice::Long));
    let documents =
        [(matrix::FILE, matrix::document(&normal, &long)), (faults::FILE, faults::document(&normal, &long))];
    for (file, document) in documents {
        fs::write(project.root().join(file), document).with_context(|| format!("cannot write {file}"))?;
        println!("{file}");
    }
    Ok(0)
}

/// Runs the tests that take more than this machine's compiler.
fn run_more(project: &Project, choice: &Choice, in_lab: &[&HostTest], tally: &mut Tally) -> Result<()> {
    tally.begin("fuzzing");
    fuzz::run(project, choice, tally)?;
    let all = guests::cases();
    let cases: Vec<GuestCase> = all.iter().cloned().filter_map(|case| case.chosen_by(choice)).collect();
    // These run one guest at a time: beside others.
    let (mut of_lab, mut of_host) = (Vec::new(), Vec::new());
    let firsts: Vec<First<'_>> = vec![
        Box::new(|| of_host = host::run_beside(project, in_lab)),
        Box::new(|| of_lab = run_lab_tests(project, choice)),
    ];
    let run = guests::run(project, &cases, firsts, tally);
    host::count(of_host, tally);
    of_lab.into_iter().for_each(|ended| ended.count(tally));
    run?;
    if *choice == Choice::All {
        let long: Vec<GuestCase> = all.into_iter().filter_map(|case| case.chosen_by(&Choice::Long)).collect();
        let long: usize = long.iter().map(|case| case.names().len()).sum();
        let of_host = host::TESTS.iter().filter(|test| test.is_long).count();
        let long = long + of_host + lab_tests().filter(|test| test.is_long()).count();
        tally.leave_out(long, "are long: scripts/test long runs them");
    }
    Ok(())
}

/// A lab test that has run, and how long it took.
struct EndedLabTest {
    test: &'static dyn LabTest,
    result: Result<()>,
    took: Duration,
}

impl EndedLabTest {
    fn count(self, tally: &mut Tally) {
        match self.result {
            Ok(()) => tally.pass(self.test.name(), 1, self.took),
            Err(error) => tally.fail(self.test.name(), &format!("{error:#}"), self.took),
        }
    }
}

fn run_lab_tests(project: &Project, choice: &Choice) -> Vec<EndedLabTest> {
    let mut shared = Shared::new(project);
    let run = |test: &'static dyn LabTest| {
        let begun = Instant::now();
        let result = test.run(&mut shared);
        if result.is_err() {
            shared.forget();
        }
        EndedLabTest { test, result, took: begun.elapsed() }
    };
    lab_tests().filter(|test| is_chosen(*test, choice)).map(run).collect()
}

fn is_chosen(test: &dyn LabTest, choice: &Choice) -> bool {
    match choice {
        Choice::Long => test.is_long(),
        Choice::All | Choice::Quick => !test.is_long(),
        Choice::Matching(_) => choice.has(test.name()),
    }
}

/// The tests of a run that boot guests.
fn guest_names(choice: &Choice) -> Vec<String> {
    let guests = guests::cases().into_iter().filter_map(|case| case.chosen_by(choice));
    let in_lab = lab_tests().filter(|test| is_chosen(*test, choice));
    guests.flat_map(|case| case.names()).chain(in_lab.map(|test| test.name().to_owned())).collect()
}

fn names(project: &Project) -> Result<Vec<String>> {
    let host = host::TESTS.iter().map(|test| test.name.to_owned());
    let guests = guests::cases().into_iter().flat_map(|case| case.names());
    let lab = lab_tests().map(|test| test.name().to_owned());
    let fuzz = fuzz::names(project)?;
    Ok(host.chain(images::names()).chain(fuzz).chain(lab).chain(guests).collect())
}

fn require_known(choice: &Choice, names: &[String]) -> Result<()> {
    let Choice::Matching(words) = choice else { return Ok(()) };
    for word in words {
        if !names.iter().any(|name| is_meant(name, word)) {
            let guess = nearest(word, names.iter().map(String::as_str));
            let guess = guess.map(|guess| format!(", did you mean {guess}?")).unwrap_or_default();
            bail!("no test's name contains {word}{guess} (scripts/test list names all)");
        }
    }
    Ok(())
}

impl HostTest {
    fn is_chosen(&self, choice: &Choice) -> bool {
        match choice {
            Choice::Long => self.is_long,
            Choice::All => !self.is_long,
            Choice::Quick => !self.is_long && !self.needs_lab,
            Choice::Matching(_) => choice.has(self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tests_have_the_same_name() {
        let mut names = names(&Project::find().unwrap()).unwrap();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn long_tests_run_only_when_asked_for() {
        let cases = guests::cases();
        let chosen = |choice: &Choice| boots(&cases, choice);
        assert!(chosen(&Choice::Long) > 0);
        assert!(chosen(&Choice::Long) + chosen(&Choice::All) >= cases.len());
        let elsewhere = cases.iter().find(|case| case.name() == "what_is_sent_comes_back/qemu-xen");
        assert!(elsewhere.cloned().is_some_and(|case| case.chosen_by(&Choice::Long).is_some()));
        let word = Choice::Matching(vec!["a_hundred_times".to_owned()]);
        assert!(chosen(&word) > 0 && !Choice::Long.has("smoke"));
    }

    fn boots(cases: &[GuestCase], choice: &Choice) -> usize {
        cases.iter().cloned().filter_map(|case| case.chosen_by(choice)).count()
    }

    /// A boot in the lab takes some seconds: a run has room for so many. What else they show costs less.
    #[test]
    fn guests_of_the_normal_run_can_be_counted() {
        let in_lab: Vec<GuestCase> =
            guests::cases().into_iter().filter(|case| !case.name().ends_with("/fv")).collect();
        let normal = boots(&in_lab, &Choice::All);
        assert!(normal <= 200, "{normal} boots in the lab: which of them show nothing new?");
    }

    #[test]
    fn a_part_of_a_boot_is_chosen_by_its_name_alone() {
        let word = |word: &str| Choice::Matching(vec![word.to_owned()]);
        let path = "a_peer_behind_a_network_that_takes_less_gets_everything/pv";
        let chosen: Vec<GuestCase> =
            guests::cases().into_iter().filter_map(|case| case.chosen_by(&word(path))).collect();
        let [boot] = chosen.as_slice() else { panic!("{} boots", chosen.len()) };
        assert_eq!(boot.names(), ["what_is_sent_comes_back/pv", path]);
    }

    #[test]
    fn words_choose_by_parts_of_names() {
        let choice = Choice::of_words(&["smoke".to_owned(), "grid".to_owned()]).unwrap();
        assert!(choice.has("the_grid_is_right/pv"));
        assert!(!choice.has("memory"));
        let choice = Choice::of_words(&["grid/pv".to_owned()]).unwrap();
        assert!(choice.has("the_grid/pv") && !choice.has("the_grid/pvh"));
        assert_eq!(Choice::of_words(&["list".to_owned()]), None);
    }

    #[test]
    fn a_word_without_a_test_is_refused() {
        let choice = Choice::Matching(vec!["no-such-test".to_owned()]);
        assert!(require_known(&choice, &["some-test".to_owned()]).is_err());
        assert!(require_known(&choice, &["a-no-such-test-after-all".to_owned()]).is_ok());
    }
}
