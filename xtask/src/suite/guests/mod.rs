// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests that boot a guest: what is started, where, and what must come of it.
//!
//! Each topic has a file with a table of [`GuestTest`]s; a new topic is a new file in `TOPICS`.

mod balloon;
mod boards;
mod conditions;
mod console;
mod core;
mod disks;
mod events;
mod faults;
mod memory;
mod network;
mod part;
mod peers;
mod power;
mod rungs;
mod runtime;
mod served;
mod smoke;
mod spectrum;
mod suspend;
mod vcpus;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use part::Part;

use super::Choice;
use super::tally::Tally;
use crate::env::{Env, Place};
use crate::grid::{self, Grid};
use crate::guest::beside::{Beside, Companion, READY, When};
use crate::guest::board::Board;
use crate::guest::driver_domains::{ROUTER, STORAGE};
use crate::guest::hotplug::Hotplug;
use crate::guest::schedule::First;
use crate::guest::session::Session;
use crate::guest::{Backend, Boot, Ending, Job, Outcome, Typed, Typing, schedule};
use crate::host;
use crate::image::symbols::Symbols;
use crate::image::{Image, build};
use crate::lab::machine::{self, Role};
use crate::project::Project;
use crate::report;
use crate::run::SHOWPIECE;
use crate::scratch::Scratch;
use crate::verdict::Verdict;

/// The tables of all topics.
const TOPICS: &[&[GuestTest]] = &[
    smoke::TESTS,
    spectrum::TESTS,
    console::TESTS,
    core::TESTS,
    disks::TESTS,
    events::TESTS,
    power::TESTS,
    suspend::TESTS,
    runtime::TESTS,
    faults::TESTS,
    memory::TESTS,
    balloon::TESTS,
    network::TESTS,
    conditions::TESTS,
    vcpus::TESTS,
    peers::TESTS,
    served::TESTS,
    rungs::TESTS,
    boards::TESTS,
];

/// A guest test: one image, in several environments.
#[derive(Clone, Copy, Debug)]
pub struct GuestTest {
    /// A sentence.
    pub name: &'static str,
    /// The application or guest test to boot, by the name of its folder.
    pub app: &'static str,
    /// Where.
    pub envs: &'static [Env],
    /// Where it runs too, but only when asked for: it shows nothing new there.
    pub long_envs: &'static [Env],
    /// Memory of the guest in MiB.
    pub memory: u32,
    /// Virtual CPUs of the guest.
    pub vcpus: u32,
    /// How the image gets into the machine.
    pub boot: Boot,
    /// Command line for the kernel.
    pub words: &'static str,
    /// Who serves its disk `xvda`, if it has one: [`DISK_SIZE`] bytes, `/dev/vda` in its machine.
    pub disk: Option<Backend>,
    /// What is on that disk at first.
    pub content: Content,
    /// Whether it has a network interface.
    pub network: bool,
    /// What is typed on its console.
    pub typed: Option<Typed>,
    /// What is done beside it, and must end with exit status 0.
    pub beside: Option<Beside>,
    /// The application of another guest, which what is done beside it starts.
    pub other: Option<&'static str>,
    /// More lines for its `xl` configuration.
    pub settings: &'static [&'static str],
    /// Its board, if it is a QEMU's.
    pub board: Board,
    /// Time after which it counts as hung.
    pub limit: Duration,
    /// Whether it lasts for many minutes, and runs only when asked for.
    pub long: bool,
    /// What must come of it.
    pub expected: Expected,
    /// What it shows beside.
    pub parts: &'static [Part],
}

/// What is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Numbers that look random, or what the guest before has left there.
    Noise,
    /// An ext4 file system with such numbers in the file [`SITE_FILE`].
    Site,
    /// A partition, with such a file system whose file has 256 MiB.
    LargeSite,
}

/// What must come of a guest.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// How it must end, if that is not for the verdict to say.
    pub ending: Option<&'static Ending>,
    /// Whether the grid of the environment must be on the console.
    pub grid: bool,
    /// Texts that must be on the console, in what the runner makes of the hypervisor's register
    /// dump, or in what the command beside the guest writes.
    pub texts: &'static [&'static str],
    /// Texts that must not be there.
    pub forbidden: &'static [&'static str],
}

impl GuestTest {
    /// A test that `app` judges itself well everywhere, with 64 MiB, one CPU and no words.
    pub const fn new(name: &'static str, app: &'static str) -> Self {
        let expected =
            Expected { verdict: Verdict::Success, ending: None, grid: false, texts: &[], forbidden: &[] };
        Self {
            name,
            app,
            envs: &Env::ALL,
            long_envs: &[],
            memory: 64,
            vcpus: 1,
            boot: Boot::Direct,
            words: "",
            disk: None,
            content: Content::Noise,
            network: false,
            typed: None,
            beside: None,
            other: None,
            settings: &[],
            board: Board::USUAL,
            limit: LIMIT,
            long: false,
            expected,
            parts: &[],
        }
    }

    /// The same by another name.
    pub const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same in these environments only.
    pub const fn envs(self, envs: &'static [Env]) -> Self {
        Self { envs, ..self }
    }

    /// The same in these environments, too, but only when asked for.
    pub const fn long_envs(self, long_envs: &'static [Env]) -> Self {
        Self { long_envs, ..self }
    }

    /// The same in a PV guest; elsewhere where `xl` is only when asked for.
    pub const fn in_pv(self) -> Self {
        self.envs(&[Env::Pv]).long_envs(&[Env::Pvh, Env::Pvhvm])
    }

    /// The same in a PVH guest; elsewhere where `xl` is only when asked for.
    pub const fn in_pvh(self) -> Self {
        self.envs(&[Env::Pvh]).long_envs(&[Env::Pv, Env::Pvhvm])
    }

    /// The same in a PV and in a PVH guest, and in a PVHVM one only when asked for.
    pub const fn in_pv_and_pvh(self) -> Self {
        self.envs(&[Env::Pv, Env::Pvh]).long_envs(&[Env::Pvhvm])
    }

    /// The same where no hypervisor is, and under KVM only when asked for.
    pub const fn in_fv(self) -> Self {
        self.envs(&[Env::Fv]).long_envs(&[Env::Kvm])
    }

    /// The same with so many MiB.
    pub const fn memory(self, memory: u32) -> Self {
        Self { memory, ..self }
    }

    /// The same with so many vCPUs.
    pub const fn vcpus(self, vcpus: u32) -> Self {
        Self { vcpus, ..self }
    }

    /// The same, but the image gets into the machine like this.
    pub const fn booting_from(self, boot: Boot) -> Self {
        Self { boot, ..self }
    }

    /// The same with these words for the kernel.
    pub const fn words(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    /// The same with a disk, served to guests of `xl` by `backend`.
    pub const fn disk(self, backend: Backend) -> Self {
        Self { disk: Some(backend), ..self }
    }

    /// The same with a disk that holds a file.
    pub const fn disk_with_files(self) -> Self {
        Self { content: Content::Site, ..self.disk(Backend::Kernel) }
    }

    /// The same with a disk that has a partition, which holds a large file.
    pub const fn disk_with_large_file(self) -> Self {
        Self { content: Content::LargeSite, ..self.disk(Backend::Kernel) }
    }

    /// The same, but `text` is typed on the console when the guest has written `after`.
    pub const fn typing(self, after: &'static str, text: &'static str) -> Self {
        Self { typed: Some(Typed { on: Typing::Console, after, text }), ..self }
    }

    /// The same, but once it has written `after`, its power button is pressed.
    pub const fn pressing_power_button(self, after: &'static str) -> Self {
        Self { typed: Some(Typed { on: Typing::PowerButton, after, text: "" }), ..self }
    }

    /// The same, but `text` is typed on the keyboard; each row of the screen then, behind "screen: ", may
    /// be [told](Self::telling).
    pub const fn typing_on_keyboard(self, after: &'static str, text: &'static str) -> Self {
        Self { typed: Some(Typed { on: Typing::Keyboard, after, text }), ..self }
    }

    /// The same, but its machine runs `command` when the guest has written `after`; see [`Beside`].
    pub const fn beside(self, after: &'static str, command: &'static str) -> Self {
        Self { beside: Some(Beside { when: When::Said(after), command, ends_guest: false }), ..self }
    }

    /// The same, but the guest does not run until `command` lets it; see [`Beside`].
    pub const fn after(self, command: &'static str) -> Self {
        Self { beside: Some(Beside { when: When::Paused, command, ends_guest: false }), ..self }
    }

    /// The same with a network interface; `script` is run by a neighbour on its network once it is
    /// ready, and ends it.
    pub const fn visited_by(self, script: &'static str) -> Self {
        let beside = Beside { when: When::Said(READY), command: script, ends_guest: true };
        Self { network: true, beside: Some(beside), ..self }
    }

    /// The same with a network interface.
    pub const fn with_network(self) -> Self {
        Self { network: true, ..self }
    }

    /// The same; `script` is run once it is ready, and ends it. It may start guests with the image of
    /// `other`.
    pub const fn serving(self, other: &'static str, script: &'static str) -> Self {
        let beside = Beside { when: When::Said(READY), command: script, ends_guest: true };
        Self { other: Some(other), beside: Some(beside), ..self }
    }

    /// The same; what is done beside it may start guests with the image of `other`.
    pub const fn with_other(self, other: &'static str) -> Self {
        Self { other: Some(other), ..self }
    }

    /// The same with a network interface; `script` is run by a neighbour on its network once it has an
    /// address.
    pub const fn met_by(self, script: &'static str) -> Self {
        Self { network: true, ..self.beside("network 0: ", script) }
    }

    /// The same with a network interface, but the guest does not run until `script` lets it, which ends it
    /// too; see [`Beside`].
    pub const fn hosted_by(self, script: &'static str) -> Self {
        Self { network: true, ..self.after(script) }
    }

    /// The same, but it has so many seconds.
    pub const fn seconds(self, seconds: u64) -> Self {
        Self { limit: Duration::from_secs(seconds), ..self }
    }

    /// The same, but it has so many minutes, and is run only when asked for.
    pub const fn lasting(self, minutes: u64) -> Self {
        Self { long: true, ..self.seconds(minutes * 60) }
    }

    /// The same with more lines in its `xl` configuration.
    pub const fn settings(self, settings: &'static [&'static str]) -> Self {
        Self { settings, ..self }
    }

    /// The same on another board of QEMU's.
    pub const fn on(self, board: Board) -> Self {
        Self { board, ..self }
    }

    /// The same, but the guest ends without a verdict, as it is told to.
    pub const fn ending_by(self, ending: &'static Ending) -> Self {
        let verdict = Verdict::Crash;
        Self { expected: Expected { verdict, ending: Some(ending), ..self.expected }, ..self }
    }

    /// The same, but the grid of the environment must be printed too.
    pub const fn with_grid(self) -> Self {
        Self { expected: Expected { grid: true, ..self.expected }, ..self }
    }

    /// The same, but the guest must end with an error.
    pub const fn failing(self) -> Self {
        Self { expected: Expected { verdict: Verdict::Error, ..self.expected }, ..self }
    }

    /// The same, but the guest must crash, and so that the hypervisor knows of it.
    pub const fn crashing(self) -> Self {
        Self { expected: Expected { verdict: Verdict::Crash, ..self.expected }, ..self }
    }

    /// The same, but these texts must be told.
    pub const fn telling(self, texts: &'static [&'static str]) -> Self {
        Self { expected: Expected { texts, ..self.expected }, ..self }
    }

    /// The same, but it shows this, too.
    pub const fn showing(self, parts: &'static [Part]) -> Self {
        Self { parts, ..self }
    }

    /// The same, but these texts must not be told.
    pub const fn not_telling(self, forbidden: &'static [&'static str]) -> Self {
        Self { expected: Expected { forbidden, ..self.expected }, ..self }
    }
}

/// A guest test in one environment: one boot.
#[derive(Clone, Debug)]
pub struct GuestCase {
    test: &'static GuestTest,
    env: Env,
    long: bool,
    parts: Vec<&'static Part>,
}

impl GuestCase {
    /// The test's name and the environment's.
    pub fn name(&self) -> String {
        format!("{}/{}", self.test.name, self.env.name())
    }

    /// Its own name, and those of the parts that it is to show.
    pub fn names(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|part| part.name_in(self.env));
        std::iter::once(self.name()).chain(parts).collect()
    }

    /// The same with those parts only that are chosen; `None` if it is not to run.
    pub fn chosen_by(mut self, choice: &Choice) -> Option<Self> {
        let own = match choice {
            Choice::Long => self.long,
            Choice::All | Choice::Quick => !self.long,
            Choice::Matching(_) => choice.has(&self.name()),
        };
        let (env, long) = (self.env, self.long);
        self.parts.retain(|part| part.is_chosen(env, choice, own, long));
        (own || !self.parts.is_empty()).then_some(self)
    }

    /// Words for the kernel.
    fn words(&self) -> String {
        let words = std::iter::once(self.test.words).chain(self.parts.iter().map(|part| part.words));
        words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// What is done beside it: its own command, and those of its parts.
    fn beside(&self) -> Option<Beside> {
        let beside = self.test.beside?;
        let mut scripts = self.parts.iter().copied().filter(|part| !part.script.is_empty()).peekable();
        let Some(_) = scripts.peek() else { return Some(beside) };
        Some(Beside { command: part::together(beside.command, scripts).leak(), ..beside })
    }

    /// The applications that it needs images of.
    fn apps(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.test.app).chain(self.test.other)
    }

    fn needs_peer(&self) -> bool {
        self.test.beside.is_some_and(|beside| beside.needs_peer())
    }

    /// The job, for which a disk to boot from is made in `dir` if need be; one for data is in `disks`.
    fn job(
        &self,
        image: &Image,
        other: Option<&Image>,
        peer: Option<&PathBuf>,
        dir: &Path,
        disks: &Path,
    ) -> Result<Job> {
        let boot = self.test.boot;
        let words = self.env.command_line(&self.words());
        let data: Vec<PathBuf> = self.test.disk.map(|_| self.disk(disks)).into_iter().collect();
        data.iter().try_for_each(|disk| make_disk(disk, self.test.content))?;
        Ok(Job {
            env: self.env,
            image: image.clone(),
            memory: self.test.memory,
            vcpus: self.test.vcpus,
            command_line: words.clone(),
            boot,
            ramdisk: None,
            disks: boot.with_boot_disk(image, &words, data, dir)?,
            backend: self.test.disk.unwrap_or(Backend::Kernel),
            stand_ins: true,
            network: self.test.network,
            hotplug: Hotplug::Lab,
            typed: self.test.typed,
            beside: self.beside(),
            watched: false,
            publish: Vec::new(),
            stop: None,
            peer: peer.filter(|_| self.needs_peer()).cloned(),
            other: other.map(|image| image.file.clone()),
            settings: self.test.settings,
            qemu: &[],
            board: self.test.board,
            limit: if boot == Boot::Direct { self.test.limit } else { LIMIT_WITH_BIOS },
        })
    }

    /// The disk that it gets: one for all guests of a lab machine, which run one after another.
    fn disk(&self, disks: &Path) -> PathBuf {
        let machine = match self.env.place() {
            Place::Direct => self.env.name().to_owned(),
            place => format!("{place:?}"),
        };
        disks.join(format!("{:?}{machine}", self.test.content))
    }

    /// Why the lab cannot run this, if it cannot.
    fn obstacle(&self) -> Option<String> {
        let lab = machine::memory();
        let needed = u64::from(self.test.memory) + OVERHEAD;
        let in_lab = self.env.place() != Place::Direct;
        (in_lab && needed > lab).then(|| {
            format!(
                "needs a lab machine of {needed} MiB, but this machine has memory for one of {lab} MiB only"
            )
        })
    }
}

/// Time after which a guest counts as hung. The slowest honest ones take a tenth of it on a quiet machine.
const LIMIT: Duration = Duration::from_secs(480);

/// The same for one that a BIOS starts: reading a disk through it takes a minute or two in the lab.
const LIMIT_WITH_BIOS: Duration = Duration::from_secs(960);

/// Memory in MiB that a lab machine needs beside its guest's: dom0's, and Xen's own.
const OVERHEAD: u64 = 1536;

/// All guest tests in all their environments.
pub fn cases() -> Vec<GuestCase> {
    let tests = TOPICS.iter().copied().flatten();
    tests
        .flat_map(|test| case_in(test, test.envs, test.long).chain(case_in(test, test.long_envs, true)))
        .collect()
}

fn case_in(test: &'static GuestTest, envs: &'static [Env], long: bool) -> impl Iterator<Item = GuestCase> {
    let parts = |env| test.parts.iter().filter(move |part| part.is_in(env)).collect();
    envs.iter().map(move |&env| GuestCase { test, env, long, parts: parts(env) })
}

/// The tests of these names in this environment, without what they show beside.
///
/// # Errors
/// If there is no such test there.
pub fn named(names: &[&str], env: Env) -> Result<Vec<GuestCase>> {
    let all = cases();
    let find = |name: &&str| {
        let case = all.iter().find(|case| case.test.name == *name && case.env == env);
        let case = case.with_context(|| format!("there is no test {name}/{}", env.name()))?;
        Ok(GuestCase { parts: Vec::new(), ..case.clone() })
    };
    names.iter().map(find).collect()
}

/// The test of this name in an environment where it may not be run otherwise, with those parts of it only.
///
/// # Errors
/// If there is no such test, or part of it.
pub fn with_parts(name: &str, parts: &[&str], env: Env) -> Result<GuestCase> {
    let mut tests = TOPICS.iter().copied().flatten();
    let test = tests.find(|test| test.name == name).with_context(|| format!("there is no test {name}"))?;
    let find = |name: &&str| {
        let part = test.parts.iter().find(|part| part.name == *name);
        part.with_context(|| format!("{} does not show {name}", test.name))
    };
    let parts = parts.iter().map(find).collect::<Result<_>>()?;
    Ok(GuestCase { test, env, long: false, parts })
}

/// Runs the cases one after another in a machine of their own, and gives all that they and the commands
/// beside them have told.
///
/// # Errors
/// If the lab fails; and what was not as it must be, of all cases.
pub fn run_on(project: &Project, role: Role, cases: &[GuestCase]) -> Result<String> {
    run_in(project, role, cases, None)
}

/// The same, but their disks and interfaces are served by driver domains of Prism's, of this environment;
/// what these have told is the last.
///
/// # Errors
/// The same.
pub fn run_on_driver_domains(project: &Project, env: Env, cases: &[GuestCase]) -> Result<String> {
    run_in(project, Role::Xen, cases, Some(env))
}

/// Those that a guest's disks and its interface come from.
const DRIVER_DOMAINS: [&str; 2] = [STORAGE, ROUTER];

fn run_in(project: &Project, role: Role, cases: &[GuestCase], drivers: Option<Env>) -> Result<String> {
    let peer = cases.iter().any(GuestCase::needs_peer).then(|| build::build_peer(project)).transpose()?;
    let apps = cases.iter().flat_map(GuestCase::apps);
    build::prepare(project, &apps.chain(drivers.iter().flat_map(|_| DRIVER_DOMAINS)).collect())?;
    let (scratch, disks) = (Scratch::new()?, Scratch::new()?);
    let job = |case: &GuestCase| {
        let image = build::build_by_name(project, case.test.app)?;
        let other = case.test.other.map(|other| build::build_by_name(project, other)).transpose()?;
        case.job(&image, other.as_ref(), peer.as_ref(), scratch.path(), disks.path())
    };
    let jobs: Vec<Job> = cases.iter().map(job).collect::<Result<_>>()?;
    let lent: BTreeSet<PathBuf> = jobs.iter().flat_map(|job| job.disks.iter().cloned()).collect();
    let lent: Vec<PathBuf> = lent.into_iter().collect();
    let lab = project.lab();
    let mut session = Session::open(&lab, &lab.ensure(role)?, &lent)?;
    if let Some(env) = drivers {
        let [storage, router] = DRIVER_DOMAINS.map(|app| build::build_by_name(project, app));
        session.start_driver_domains(env, [&storage?, &router?])?;
    }
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for (case, job) in cases.iter().zip(&jobs) {
        let outcome = session.run(job).with_context(|| case.name())?;
        let explanation = report::explanation(&outcome, &Symbols::of_image(&job.image));
        let mut faults = faults(case, &outcome, &explanation);
        faults.extend(case.parts.iter().flat_map(|part| part.faults(|text| self::told(&outcome, text))));
        told += &outcome.console;
        told += beside(&outcome);
        if !faults.is_empty() {
            wrong.push(format!("{}: {}", case.name(), reason(&faults, &outcome, &explanation)));
        }
    }
    if drivers.is_some() {
        told += &session.end_driver_domains()?;
    }
    ensure!(wrong.is_empty(), "{}\n{told}", wrong.join("\n"));
    Ok(told)
}

/// Runs the cases and counts their results.
///
/// # Errors
/// If the lab fails.
pub fn run(project: &Project, cases: &[GuestCase], firsts: Vec<First<'_>>, tally: &mut Tally) -> Result<()> {
    tally.begin("building guests");
    let peer = cases.iter().any(GuestCase::needs_peer).then(|| build::build_peer(project)).transpose()?;
    if !cases.is_empty() {
        build::prepare(project, &cases.iter().flat_map(GuestCase::apps).collect())?;
    }
    let (scratch, disks) = (Scratch::new()?, Scratch::new()?);
    let mut images = HashMap::new();
    let mut started = Vec::new();
    let mut jobs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let mut image = |app| {
            let built = images.entry(app).or_insert_with(|| build::build_by_name(project, app));
            built.as_ref().map(Image::clone).map_err(|error| format!("{error:#}"))
        };
        let built = image(case.test.app).and_then(|own| Ok((own, case.test.other.map(image).transpose()?)));
        match (built, case.obstacle()) {
            (Err(error), _) => tally.fail(&case.name(), &error, Duration::ZERO),
            (Ok(_), Some(obstacle)) => tally.skip(&case.name(), &obstacle),
            (Ok((image, other)), None) => {
                let dir = scratch.path().join(number.to_string());
                fs::create_dir(&dir).context("cannot make a directory for a boot disk")?;
                match case.job(&image, other.as_ref(), peer.as_ref(), &dir, disks.path()) {
                    Err(error) => tally.fail(&case.name(), &format!("{error:#}"), Duration::ZERO),
                    Ok(job) => {
                        started.push(case);
                        jobs.push(job);
                    }
                }
            }
        }
    }
    tally.begin("guests");
    let workers = schedule::run(&project.lab(), &jobs, firsts, |index, outcome| {
        tally.spend(&started[index].name(), outcome.spent);
        count(started[index], &jobs[index], &outcome, tally);
    })?;
    tally.work(workers);
    Ok(())
}

/// Size of the disk that tests get.
pub const DISK_SIZE: usize = 16 << 20;

/// The file on a disk of files, and its length.
pub const SITE_FILE: &str = "file.bin";
const SITE_LENGTH: usize = 300_000;

/// The content of that file.
pub(super) fn site_file() -> Vec<u8> {
    noise(SITE_LENGTH)
}

/// Makes a disk with that file.
///
/// # Errors
/// If it cannot be made.
pub(super) fn make_site(path: &Path) -> Result<()> {
    make_disk(path, Content::Site)
}

/// MiB of the partition with the large file.
const LARGE_SITE_MIB: u64 = 300;

/// Makes a disk, unless it is there.
fn make_disk(path: &Path, content: Content) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let write = |path: &Path, bytes| {
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    match content {
        Content::Noise => write(path, noise(DISK_SIZE)),
        Content::Site => {
            let tree = Scratch::new()?;
            write(&tree.path().join(SITE_FILE), site_file())?;
            host::make_ext4(tree.path(), path, 0, "site", "16M")
        }
        Content::LargeSite => {
            let tree = Scratch::new()?;
            write(&tree.path().join(SITE_FILE), large_file())?;
            write(path, partition_table())?;
            File::options().write(true).open(path)?.set_len((LARGE_SITE_MIB + 1) << 20)?;
            host::make_ext4(tree.path(), path, 1 << 20, "site", &format!("{LARGE_SITE_MIB}M"))
        }
    }
}

/// Each MiB begins with its number, as no other place of the file shows which of them it is.
fn large_file() -> Vec<u8> {
    let rest = noise((1 << 20) - 8);
    (0..256_u64).flat_map(|number| [&number.to_le_bytes()[..], &rest].concat()).collect()
}

/// A master boot record whose only partition, of Linux's kind, takes all from the second MiB on.
fn partition_table() -> Vec<u8> {
    const SECTORS: u64 = (1 << 20) / 512; // of a MiB
    let mut record = vec![0; 512];
    record[446 + 4] = 0x83;
    record[446 + 8..446 + 12].copy_from_slice(&(SECTORS as u32).to_le_bytes());
    record[446 + 12..446 + 16].copy_from_slice(&((LARGE_SITE_MIB * SECTORS) as u32).to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}

/// Bytes that look random, and are always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut number = 1_u64;
    let words = std::iter::repeat_with(|| {
        // The generator of Knuth's MMIX, of which the upper half is good.
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 32) as u32
    });
    words.take(length / 4).flat_map(u32::to_le_bytes).collect()
}

fn count(case: &GuestCase, job: &Job, outcome: &Outcome, tally: &mut Tally) {
    let name = case.name();
    let explanation = report::explanation(outcome, &Symbols::of_image(&job.image));
    let faults = faults(case, outcome, &explanation);
    for part in &case.parts {
        count_part(part, case, outcome, &faults, tally);
    }
    if outcome.verdict == Verdict::Skip && case.test.expected.verdict == Verdict::Success {
        tally.skip(&name, "the guest found that it does not apply here");
    } else if let (true, Some(why)) = (faults.is_empty(), outcome.second_try()) {
        tally.pass_again(&name, &why, outcome.took);
    } else if faults.is_empty() {
        tally.pass(&name, 1, outcome.took);
    } else {
        tally.fail(&name, &reason(&faults, outcome, &explanation), outcome.took);
    }
}

/// Why a guest failed, with all that is known of it.
fn reason(faults: &[String], outcome: &Outcome, explanation: &str) -> String {
    format!("{}\n{}{explanation}{}", faults.join("\n"), outcome.console, beside(outcome))
}

/// What the command beside a guest wrote.
fn beside(outcome: &Outcome) -> &str {
    outcome.companion.as_ref().map(|companion| companion.output.as_str()).unwrap_or_default()
}

/// Counts a part. Why it is not as it must be stands with its boot, if that is not as it must be either.
fn count_part(part: &Part, case: &GuestCase, outcome: &Outcome, of_boot: &[String], tally: &mut Tally) {
    let faults = part.faults(|text| told(outcome, text));
    let name = part.name_in(case.env);
    match (faults.is_empty(), of_boot.is_empty()) {
        (true, _) => tally.pass(&name, 1, Duration::ZERO),
        (false, true) => tally.fail(&name, &(faults.join("\n") + "\n" + &outcome.console), Duration::ZERO),
        (false, false) => tally.fail(&name, &faults.join("\n"), Duration::ZERO),
    }
}

/// Whether the guest or the command beside it has told this.
fn told(outcome: &Outcome, text: &str) -> bool {
    beside(outcome).contains(text) || outcome.console.contains(text)
}

/// What is not as it must be.
fn faults(case: &GuestCase, outcome: &Outcome, explanation: &str) -> Vec<String> {
    let expected = &case.test.expected;
    let mut faults = Vec::new();
    if outcome.verdict != expected.verdict {
        faults.push(format!("the verdict is {}, but should be {}", outcome.verdict, expected.verdict));
    }
    if let Some(ending) = expected.ending
        && outcome.ending != *ending
    {
        faults.push(format!("it should have ended by {ending:?}, but did by {:?}", outcome.ending));
    }
    if outcome.ending == Ending::Hang && expected.ending != Some(&Ending::Hang) {
        faults.push("it was still running at its time limit".to_owned());
    }
    if expected.ending.is_none() && case.env.place() == Place::XenLab {
        faults.extend(wrong_ending(expected.verdict, &outcome.ending));
    }
    if expected.grid {
        faults.extend(wrong_grid(case, &outcome.console));
    }
    if case.test.beside.is_some() {
        faults.extend(fault_beside(outcome.companion.as_ref()));
    }
    let told = |text: &str| told(outcome, text) || explanation.contains(text);
    faults.extend(
        expected.texts.iter().filter(|text| !told(text)).map(|text| format!("it does not tell: {text}")),
    );
    faults
        .extend(expected.forbidden.iter().filter(|text| told(text)).map(|text| format!("it tells: {text}")));
    faults
}

/// What is wrong with how a guest ended in the eyes of Xen: by a crash as it should, or by switching itself
/// off when it has given its verdict.
fn wrong_ending(expected: Verdict, ending: &Ending) -> Option<String> {
    match (expected, ending) {
        (Verdict::Crash, Ending::Crash) => None,
        (Verdict::Crash, ending) => Some(format!("Xen should have seen a crash, but saw {ending:?}")),
        (_, Ending::Reboot) => Some("it should have switched itself off, but started again".to_owned()),
        _ => None,
    }
}

fn fault_beside(companion: Option<&Companion>) -> Option<String> {
    match companion {
        Some(companion) => companion.fault(),
        None => Some("there is no command beside it".to_owned()),
    }
}

/// What is wrong with the grid of the boot report, and with the one that the showpiece prints.
fn wrong_grid(case: &GuestCase, console: &str) -> Vec<String> {
    let wrong = |found: Option<Grid>| match found {
        Some(found) if found == case.env.grid() => None,
        Some(found) => Some(format!("the grid is {found}, but should be {}", case.env.grid())),
        None => Some("a grid is missing".to_owned()),
    };
    let printed = (case.test.app == SHOWPIECE).then(|| grid::parse(console).map(|rows| grid::levels(&rows)));
    std::iter::once(grid::reported(console)).chain(printed).filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static CRASH: GuestTest = GuestTest::new("t", "fault").crashing().telling(&["stack overflow"]);

    fn case(env: Env) -> GuestCase {
        GuestCase { test: &CRASH, env, long: false, parts: Vec::new() }
    }

    fn outcome(ending: Ending, console: &str) -> Outcome {
        Outcome::new(ending, console.to_owned(), String::new())
    }

    #[test]
    fn a_crash_as_it_should_be_has_no_fault() {
        assert!(faults(&case(Env::Pv), &outcome(Ending::Crash, "stack overflow\n"), "").is_empty());
        assert!(faults(&case(Env::Pv), &outcome(Ending::Crash, ""), "stack overflow\n").is_empty());
    }

    #[test]
    fn a_crash_that_xen_did_not_see_is_a_fault() {
        let outcome = outcome(Ending::Poweroff, "stack overflow\n");
        assert_eq!(faults(&case(Env::Pv), &outcome, "").len(), 1);
        assert!(faults(&case(Env::Fv), &outcome, "").is_empty());
    }

    static ACCOMPANIED: GuestTest =
        GuestTest::new("t", "idle").beside("ready", "echo heard").telling(&["heard"]);

    #[test]
    fn a_command_beside_a_guest_has_to_end_well_and_its_words_count() {
        let case = GuestCase { test: &ACCOMPANIED, env: Env::Pv, long: false, parts: Vec::new() };
        let faults = |companion| {
            let guest = outcome(Ending::Poweroff, "Test result: SUCCESS\n");
            faults(&case, &Outcome { companion, ..guest }, "").len()
        };
        let (output, took) = ("heard\n".to_owned(), Duration::ZERO);
        let companion = |status| Some(Companion { started: true, status, output: output.clone(), took });
        assert_eq!(faults(companion(Some(0))), 0);
        assert_eq!(faults(companion(Some(1))), 1);
        assert_eq!(faults(companion(None)), 1);
        assert_eq!(faults(None), 2);
    }

    #[test]
    fn a_guest_that_starts_again_with_its_verdict_has_a_fault() {
        let case = GuestCase { test: &ACCOMPANIED, env: Env::Pv, long: false, parts: Vec::new() };
        let told = "Test result: SUCCESS\nheard\n";
        let count = |ending| faults(&case, &outcome(ending, told), "").len();
        assert_eq!(count(Ending::Reboot), count(Ending::Poweroff) + 1);
    }

    #[test]
    fn a_missing_text_and_a_wrong_verdict_are_two_faults() {
        let outcome = outcome(Ending::Crash, "Test result: SUCCESS\n");
        assert_eq!(faults(&case(Env::Pv), &outcome, "").len(), 2);
    }
}
