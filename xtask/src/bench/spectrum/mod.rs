// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each environment costs: how often the hypervisor is entered for a boot, and for one more of each
//! thing that guests do.

mod chart;
mod counter;
mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ratio::median;
use super::{check, page};
use crate::cli::Bench;
use crate::env::{Env, Place};
use crate::guest::Job;
use crate::guest::beside::{Beside, READY, When};
use crate::guest::session::Session;
use crate::image::{Image, build};
use crate::lab::machine::Role;
use crate::project::Project;
use crate::scratch::Scratch;
use counter::Counted;
pub(super) use counter::unit;
use paths::Mechanism;

/// The benchmark's name.
const NAME: &str = "spectrum";

/// What is counted, as the table's columns have it.
const COLUMNS: [&str; 5] = ["boot", "interrupt", "timer", "disk read", "packet"];

/// The environments in which something can be counted, in the order of the table.
const ENVS: [Env; 9] = Env::WITH_DEVICES;

/// Bytes of the disk that is read.
const DISK_SIZE: usize = 16 << 20;

/// How often a thing is done in a run: never, and so often.
const OFTEN: u64 = 400;

/// The same where each costs the lab so much that it would take minutes.
const SELDOM: u64 = 40;

/// What one environment costs: a number for each column, if there is such a thing there.
struct Row {
    env: Env,
    /// Of each round.
    rounds: Vec<[Option<f64>; COLUMNS.len()]>,
    /// By which mechanism.
    by: [Mechanism; COLUMNS.len()],
}

/// Counts, and prints the table, or writes it and the picture into `docs/`.
///
/// # Errors
/// If the lab fails, or a guest.
pub(super) fn run(project: &Project, options: &Bench) -> Result<u8> {
    if options.draw {
        let table = page::table_of(project, options.what.name())?;
        page::draw(project, options.what.name(), &chart::svg(&table)?)?;
        return Ok(0);
    }
    let (envs, rounds) = super::chosen(options, &ENVS)?;
    let mut bench = Bencher::new(project)?;
    let mut rows = envs.into_iter().map(|env| bench.row(env, rounds)).collect::<Result<Vec<Row>>>()?;
    rows.sort_by_key(|row| row.env);
    let table = table(&rows);
    println!("{table}");
    if options.is_whole() {
        page::publish(project, options.what.name(), &table, &chart::svg(&table)?)?;
    }
    Ok(0)
}

/// What is worse now than in the documents' table, in these environments, or in those that were asked for.
///
/// # Errors
/// If it cannot be counted, or the documents have no such row.
pub(super) fn worse(project: &Project, options: &Bench, usual: &[Env]) -> Result<Vec<String>> {
    let envs = if options.envs.is_empty() { usual.to_vec() } else { super::chosen(options, &ENVS)?.0 };
    let rounds = if options.quick { 1 } else { options.rounds };
    let table = page::table_of(project, NAME)?;
    let mut bench = Bencher::new(project)?;
    let mut found = Vec::new();
    for env in envs {
        let row = bench.row(env, rounds)?;
        let now: [_; COLUMNS.len()] = std::array::from_fn(|column| row.cost(column));
        found.extend(compared(&table, env, now)?);
    }
    Ok(found)
}

/// The same for a boot and a disk read, with one run of each.
///
/// # Errors
/// Those of [`worse`].
pub(super) fn worse_boot_or_read(
    project: &Project,
    session: &mut Session,
    disk: &Path,
    env: Env,
) -> Result<Vec<String>> {
    let image = build::build_by_name(project, "cost")?;
    let mut count = |words: String| {
        let command_line = env.command_line(&words);
        let disks = vec![disk.to_owned()];
        let job = Job { command_line, disks, limit: counter::LIMIT, ..Job::new(env, image.clone()) };
        super::again(|| counter::count(session, &job))
    };
    let (boot, reads) = (count(String::new())?, count(format!("reads={}", often(env)))?);
    let now = [Some(boot.entries as f64), None, None, Some(each(env, &boot, &reads)), None];
    compared(&page::table_of(project, NAME)?, env, now)
}

/// What is worse than in the table's row, of what was counted.
fn compared(table: &str, env: Env, now: [Option<f64>; COLUMNS.len()]) -> Result<Vec<String>> {
    let before = chart::costs(table, env)?;
    let mut found = Vec::new();
    for (column, (before, now)) in COLUMNS.into_iter().zip(before.into_iter().zip(now)) {
        let (Some(before), Some(now)) = (before, now) else { continue };
        let line =
            format!("{}, {column}: {now:.2} {}, {before} in the documents", env.name(), counter::unit(env));
        println!("{line}");
        if check::is_worse(before, now) {
            found.push(line);
        }
    }
    Ok(found)
}

/// Runs guests in the lab's machines, one after the other.
struct Bencher<'a> {
    project: &'a Project,
    /// Does one thing as often as it is told.
    cost: Image,
    /// Answers pings.
    echo: Image,
    disk: PathBuf,
    session: Option<(Role, Session)>,
    /// Where the disk is.
    _scratch: Scratch,
}

impl<'a> Bencher<'a> {
    fn new(project: &'a Project) -> Result<Self> {
        let scratch = Scratch::new()?;
        let disk = scratch.path().join("disk");
        fs::write(&disk, vec![0; DISK_SIZE]).context("cannot write a disk")?;
        let image = |name| build::build_by_name(project, name);
        Ok(Self {
            project,
            cost: image("cost")?,
            echo: image("echo")?,
            disk,
            session: None,
            _scratch: scratch,
        })
    }

    fn row(&mut self, env: Env, rounds: u32) -> Result<Row> {
        let mut row = Row { env, rounds: Vec::new(), by: Default::default() };
        for round in 1..=rounds {
            eprintln!("{}: round {round} of {rounds}", env.name());
            let (costs, by) = self.round(env).with_context(|| format!("in {}", env.name()))?;
            row.rounds.push(costs);
            row.by = by;
        }
        eprintln!("{}", row.line());
        Ok(row)
    }

    /// What everything costs, and by which mechanism.
    fn round(&mut self, env: Env) -> Result<([Option<f64>; COLUMNS.len()], [Mechanism; COLUMNS.len()])> {
        let boot = self.work(env, 1, "")?;
        let sleep = if shows_timers(env) { Some(self.more(env, 1, "sleeps", &boot)?) } else { None };
        let wake = if shows_timers(env) { self.wake(env)? } else { None };
        let read = Some(self.more(env, 1, "reads", &boot)?);
        let (few, many) = (self.pings(env, 1)?, self.pings(env, 1 + often(env))?);
        let packet = Some(each(env, &few, &many));
        let by = paths::of_consoles(&boot.console, &many.console);
        Ok(([Some(boot.entries as f64), wake, sleep, read, packet], by))
    }

    /// What each of the things costs that `word` tells the guest to do, beyond what `nothing` cost.
    fn more(&mut self, env: Env, vcpus: u32, word: &str, nothing: &Counted) -> Result<f64> {
        let all = self.work(env, vcpus, &format!("{word}={}", often(env)))?;
        Ok(each(env, nothing, &all))
    }

    /// What it costs to wake a vCPU, if there are two.
    fn wake(&mut self, env: Env) -> Result<Option<f64>> {
        let sleeps = self.work(env, 2, &format!("sleeps={}", often(env)))?;
        if !sleeps.console.contains("vcpus: 2\n") {
            return Ok(None);
        }
        // After each there is a sleep.
        self.more(env, 2, "wakes", &sleeps).map(Some)
    }

    /// A guest that does what the words say.
    fn work(&mut self, env: Env, vcpus: u32, words: &str) -> Result<Counted> {
        let job = Job { command_line: env.command_line(words), vcpus, ..Job::new(env, self.cost.clone()) };
        self.count(job)
    }

    /// A guest that answers so many pings, each sent when the one before it was answered.
    fn pings(&mut self, env: Env, count: u64) -> Result<Counted> {
        // The first one may be lost to finding each other.
        let command = format!("ping -q -c 1 -W 5 192.0.2.2; ping -q -A -W 20 -c {count} 192.0.2.2");
        let job = Job {
            command_line: env.command_line("ip=192.0.2.2/24"),
            network: true,
            beside: Some(Beside { when: When::Said(READY), command: command.leak(), ends_guest: true }),
            ..Job::new(env, self.echo.clone())
        };
        self.count(job)
    }

    fn count(&mut self, job: Job) -> Result<Counted> {
        let role = match job.env.place() {
            Place::XenLab => Role::Xen,
            Place::KvmLab | Place::Direct => Role::Kvm,
        };
        let job = Job { disks: vec![self.disk.clone()], limit: counter::LIMIT, ..job };
        let session = self.session(role)?;
        super::again(|| counter::count(session, &job))
    }

    /// The machine of this role, which is started if the last guest was in another.
    fn session(&mut self, role: Role) -> Result<&mut Session> {
        if self.session.as_ref().is_none_or(|(open, _)| *open != role) {
            // The disk is lent to one machine at a time.
            self.session = None;
            let lab = self.project.lab();
            let mut session = Session::open(&lab, &lab.ensure(role)?, std::slice::from_ref(&self.disk))?;
            // The first guest of a machine meets a toolstack that is not warm yet.
            let job = Job { disks: vec![self.disk.clone()], ..Job::new(first(role), self.cost.clone()) };
            session.run(&job)?;
            self.session = Some((role, session));
        }
        match &mut self.session {
            Some((_, session)) => Ok(session),
            None => bail!("the lab's machine is gone"),
        }
    }
}

/// How often a thing is done in a run.
const fn often(env: Env) -> u64 {
    match env {
        Env::Hvm => SELDOM,
        _ => OFTEN,
    }
}

/// What each of so many things costs, by what a guest cost that did none of them and one that did all.
fn each(env: Env, none: &Counted, all: &Counted) -> f64 {
    (all.entries as f64 - none.entries as f64) / often(env) as f64
}

/// Whether what is counted there has to do with timers: an APIC driven by MSRs has no accesses.
const fn shows_timers(env: Env) -> bool {
    !matches!(env, Env::Fv)
}

/// The environment of the guest that warms a machine up.
const fn first(role: Role) -> Env {
    match role {
        Role::Xen | Role::Oxenstored => Env::Pvh,
        Role::Kvm => Env::Kvm,
    }
}

impl Row {
    /// The median of a column.
    fn cost(&self, column: usize) -> Option<f64> {
        let values: Vec<f64> = self.rounds.iter().filter_map(|round| round[column]).collect();
        (!values.is_empty()).then(|| median(values))
    }

    fn line(&self) -> String {
        let cells: Vec<String> = (0..COLUMNS.len()).map(|column| self.cell(column)).collect();
        format!("| {} | {} | {} |", self.env.name(), counter::unit(self.env), cells.join(" | "))
    }

    fn cell(&self, column: usize) -> String {
        match (self.cost(column), column) {
            (None, _) => "-".to_owned(),
            (Some(cost), 0) => format!("{cost:.0} ({})", self.by[column]),
            (Some(cost), _) => format!("{cost:.2} ({})", self.by[column]),
        }
    }
}

fn table(rows: &[Row]) -> String {
    let head = format!("| environment | counted | {} |", COLUMNS.join(" | "));
    let rule = format!("|---|---|{}", "---|".repeat(COLUMNS.len()));
    let lines: Vec<String> = [head, rule].into_iter().chain(rows.iter().map(Row::line)).collect();
    let rounds = rows.first().map_or(0, |row| row.rounds.len());
    format!("{}\n\nRuns of each, of which these are the medians: {rounds}.\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_is_compared_and_only_what_is_worse_is_told() {
        let table = "| a |\n|---|\n| pv | hypercalls | 200 (PV) | - | 2.00 (t) | 2.00 (b) | 2.00 (n) |\n";
        let now = |boot, read| [Some(boot), Some(9.0), None, Some(read), None];
        assert_eq!(compared(table, Env::Pv, now(205.0, 2.1)).unwrap(), [""; 0]);
        let worse = compared(table, Env::Pv, now(290.0, 3.0)).unwrap();
        assert!(
            worse.len() == 2 && worse[1].starts_with("pv, disk read: 3.00 hypercalls, 2 in"),
            "{worse:?}"
        );
        assert!(compared(table, Env::Pvh, now(1.0, 1.0)).is_err());
    }

    #[test]
    fn a_row_shows_medians_and_what_there_is_not() {
        let round = |reads| [Some(90.0), None, Some(2.0), Some(reads), Some(1.5)];
        let by = ["PVH", "vector", "timer", "IDE", "e1000"].map(str::to_owned);
        let row = Row { env: Env::Fv, rounds: [1.0, 9.0, 3.0].map(round).to_vec(), by };
        let table = table(&[row]);
        let last = table.lines().nth(2).unwrap();
        assert_eq!(
            last,
            "| fv | device accesses | 90 (PVH) | - | 2.00 (timer) | 3.00 (IDE) | 1.50 (e1000) |"
        );
        assert!(table.ends_with("medians: 3.\n"));
    }
}
