// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running many jobs: a few workers take them one after another, the dearest first, each with a machine of
//! its own that it keeps as long as it serves; outcomes are reported as they come.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::session::Session;
use super::spent::Part;
use super::{Boot, Job, Outcome, direct};
use crate::env::{Env, Place};
use crate::guest::places::Places;
use crate::host;
use crate::lab::Lab;
use crate::lab::machine::{LOANS, Role};
use crate::lab::snapshot::Snapshot;

/// Shares that are worked on at the same time, where there is memory. A lab machine waits for more than half
/// of its time - for a timer, a silent client, a slow path: three left two processors idle for a third of
/// theirs. Only one is worked on if they are lent the same disk, which two machines must not write to.
const MOST_WORKERS: u64 = 4;

/// The same on a host with little memory, which may have to swap.
const LEAST_WORKERS: u64 = 2;

/// Memory in MiB of the host that a worker's machine takes.
const MEMORY: u64 = 4 << 10;

/// Guests that a machine serves, but for those that must stay together: what one leaves behind must not add
/// up, and loading another machine costs two seconds.
const SERVED: usize = 40;

/// A guest's memory in MiB that is much: two such guests do not run at the same time.
const MUCH: u32 = 1024;

/// A share of the work, in one place: a single job, or some that must use the same machine.
struct Share<'a> {
    place: Place,
    /// The machine to load, unless each guest is a process of its own.
    snapshot: Option<Snapshot>,
    jobs: Vec<(usize, &'a Job)>,
}

/// Where outcomes are sent, with the indices of their jobs.
type Outcomes = Sender<(usize, Result<Outcome>)>;

/// The time of a worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Working {
    /// It had something to do.
    pub busy: Duration,
    /// It had not, and others had.
    pub idle: Duration,
}

/// What a worker does before it takes jobs.
pub type First<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs all jobs and reports each outcome with its job's index; gives the workers' times. Each of the first
/// does something else before, which takes as much of the host as its jobs do.
///
/// # Errors
/// If the lab cannot be built or its machines do not start.
pub fn run(
    lab: &Lab,
    jobs: &[Job],
    firsts: Vec<First<'_>>,
    mut report: impl FnMut(usize, Outcome),
) -> Result<Vec<Working>> {
    let shares = shares(lab, jobs)?;
    let serving = if lends_twice(&shares) { 1 } else { workers(host::available_memory()) };
    let queue = &Mutex::new(shares);
    let begun = Instant::now();
    let (sender, receiver) = mpsc::channel();
    let busy = thread::scope(|scope| {
        let mut firsts = firsts.into_iter();
        let mut workers = Vec::new();
        for number in 0..serving.max(firsts.len()) {
            let (first, sender) = (firsts.next(), sender.clone());
            workers.push(scope.spawn(move || {
                first.into_iter().for_each(|first| first());
                if number < serving { Worker::new(lab).work(queue, &sender) } else { Instant::now() }
            }));
        }
        drop(sender);
        receiver.into_iter().try_for_each(|(index, outcome)| {
            report(index, outcome?);
            Ok::<(), anyhow::Error>(())
        })?;
        let ends = workers.into_iter().filter_map(|worker| worker.join().ok());
        Ok::<Vec<Duration>, anyhow::Error>(ends.map(|end| end - begun).collect())
    })?;
    let last = busy.iter().max().copied().unwrap_or_default();
    Ok(busy.into_iter().map(|busy| Working { busy, idle: last - busy }).collect())
}

/// How many work at the same time on a host with so many MiB to spare.
fn workers(memory: u64) -> usize {
    (memory / MEMORY).clamp(LEAST_WORKERS, MOST_WORKERS) as usize
}

/// Puts outcomes back into the order of their jobs.
#[derive(Debug, Default)]
pub struct InOrder {
    waiting: BTreeMap<usize, Outcome>,
    next: usize,
}

impl InOrder {
    /// Nothing came yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an outcome, and hands on all whose turn has come.
    pub fn add(&mut self, index: usize, outcome: Outcome, mut hand_on: impl FnMut(usize, Outcome)) {
        self.waiting.insert(index, outcome);
        while let Some(outcome) = self.waiting.remove(&self.next) {
            hand_on(self.next, outcome);
            self.next += 1;
        }
    }
}

fn next<'a>(queue: &Mutex<VecDeque<Share<'a>>>) -> Option<Share<'a>> {
    queue.lock().ok()?.pop_front()
}

/// The work by place, the dearest first, with everything built that it needs. What uses a disk that another
/// one uses too, or much memory, is one share.
fn shares<'a>(lab: &'a Lab, jobs: &'a [Job]) -> Result<VecDeque<Share<'a>>> {
    lab.ensure_root()?;
    let mut places = Places::new(lab);
    let placed: Vec<(Place, usize, &Job)> =
        jobs.iter().enumerate().map(|(index, job)| (place(&mut places, job), index, job)).collect();
    let mut shares = VecDeque::new();
    for place in [Place::XenLab, Place::KvmLab, Place::Direct] {
        let mine: Vec<(usize, &Job)> = placed
            .iter()
            .filter(|(other, ..)| *other == place)
            .map(|(_, index, job)| (*index, *job))
            .collect();
        let snapshot = if mine.is_empty() { None } else { snapshot(lab, place)? };
        let share = |jobs| Share { place, snapshot: snapshot.clone(), jobs };
        shares.extend(parted(mine, jobs).into_iter().map(share));
    }
    Ok(shares)
}

/// The jobs of a place in parts, the dearest first: those that use common disks or much memory are one, those
/// with disks of their own are together as many as a machine can be lent disks, others are on their own.
fn parted<'a>(mine: Vec<(usize, &'a Job)>, all: &[Job]) -> Vec<Vec<(usize, &'a Job)>> {
    let (bound, free): (Vec<_>, Vec<_>) =
        mine.into_iter().partition(|(_, job)| job.memory >= MUCH || uses_anothers_disk(job, all));
    let (lent, plain): (Vec<_>, Vec<_>) = free.into_iter().partition(|(_, job)| !job.disks.is_empty());
    let mut parts: Vec<Vec<(usize, &Job)>> = lent.chunks(LOANS).map(<[_]>::to_vec).collect();
    parts.extend(plain.into_iter().map(|job| vec![job]));
    parts.extend((!bound.is_empty()).then_some(bound));
    parts.sort_by_key(|part| Reverse(part.iter().map(|(_, job)| cost(job)).sum::<u64>()));
    parts
}

/// About how many seconds the job takes, to be told before it runs.
fn cost(job: &Job) -> u64 {
    let emulated = matches!(job.env, Env::Pvhvm | Env::HvmPvDrivers | Env::Hvm);
    let firmware = if job.boot == Boot::Direct { 0 } else { 20 };
    let beside = if job.beside.is_some() { 10 } else { 0 };
    // Who is given more time than usual needs it.
    let by_limit = job.limit.as_secs() / 10;
    3 + firmware + beside + by_limit + if emulated { 5 } else { 0 }
}

fn uses_anothers_disk(job: &Job, jobs: &[Job]) -> bool {
    let users = |disk| jobs.iter().filter(|job| job.disks.contains(disk)).count();
    job.disks.iter().any(|disk| users(disk) > 1)
}

/// Whether a disk is used in two shares.
fn lends_twice(shares: &VecDeque<Share<'_>>) -> bool {
    let mut seen: BTreeMap<&PathBuf, usize> = BTreeMap::new();
    let mut disks = shares.iter().enumerate().flat_map(|(number, share)| {
        share.jobs.iter().flat_map(|(_, job)| &job.disks).map(move |disk| (disk, number))
    });
    disks.any(|(disk, number)| *seen.entry(disk).or_insert(number) != number)
}

/// Where the job is done: in a lab machine if the guest has a network, or something is to be done beside
/// it.
pub fn place(places: &mut Places<'_>, job: &Job) -> Place {
    match job.env.place() {
        Place::Direct if job.network => Place::KvmLab,
        place if job.beside.is_some() || job.network => place,
        _ => places.of(job.env),
    }
}

fn snapshot(lab: &Lab, place: Place) -> Result<Option<Snapshot>> {
    match place {
        Place::Direct => Ok(None),
        Place::XenLab => lab.ensure(Role::Xen).map(Some),
        Place::KvmLab => lab.ensure(Role::Kvm).map(Some),
    }
}

/// Who works on shares, and the machine that it has loaded.
struct Worker<'a> {
    lab: &'a Lab,
    held: Option<Held>,
}

/// A loaded machine.
struct Held {
    place: Place,
    session: Session,
    served: usize,
}

impl<'a> Worker<'a> {
    const fn new(lab: &'a Lab) -> Self {
        Self { lab, held: None }
    }

    /// Works on shares until there are none, and gives the time at which it has done so.
    fn work(mut self, queue: &Mutex<VecDeque<Share<'_>>>, outcomes: &Outcomes) -> Instant {
        while let Some(share) = next(queue) {
            self.held = self.held.filter(|held| held.place == share.place && held.served < SERVED);
            for (position, &(index, job)) in share.jobs.iter().enumerate() {
                let begun = Instant::now();
                let outcome = match &share.snapshot {
                    None => Ok(run_alone(self.lab, job)),
                    Some(snapshot) => self.run_in_machine(snapshot, &share, position),
                };
                let outcome =
                    outcome.with_context(|| format!("{}: {:?} failed", job.env.name(), share.place));
                let outcome = outcome.map(|outcome| Outcome { took: begun.elapsed(), ..outcome });
                // Nobody listens any more once something has failed.
                if outcomes.send((index, outcome)).is_err() {
                    return Instant::now();
                }
            }
        }
        Instant::now()
    }

    /// Runs a job in the held machine or in a new one; a broken machine is replaced once.
    fn run_in_machine(&mut self, snapshot: &Snapshot, share: &Share<'_>, position: usize) -> Result<Outcome> {
        let (_, job) = share.jobs[position];
        let mut lost_machine = None;
        if let Some(mut held) = self.held.take().filter(|held| held.session.has_disks_of(job)) {
            match held.session.run(job) {
                Ok(outcome) => {
                    self.held = Some(Held { served: held.served + 1, ..held });
                    return Ok(outcome);
                }
                Err(error) => lost_machine = Some(format!("{error:#} {}", held.session.last_words())),
            }
        }
        let begun = Instant::now();
        let mut session = Session::open(self.lab, snapshot, &disks(&share.jobs[position..]))?;
        let load = begun.elapsed();
        match session.run(job) {
            Ok(mut outcome) => {
                outcome.spent.add(Part::Load, load);
                outcome.lost_machine = lost_machine;
                self.held = Some(Held { place: share.place, session, served: 1 });
                Ok(outcome)
            }
            // The guest took the machine beneath it down: that is an outcome.
            Err(error) => Ok(Outcome::not_started(format!("{error:#}\n{}", session.last_words()))),
        }
    }
}

/// Runs a job in a machine of its own. What goes wrong with that is this job's, and keeps no other from
/// running.
fn run_alone(lab: &Lab, job: &Job) -> Outcome {
    let begun = Instant::now();
    let outcome = direct::run(lab, job).unwrap_or_else(|error| Outcome::not_started(format!("{error:#}")));
    outcome.that_ran_for(begun.elapsed())
}

/// The disks of the first jobs, each once, as far as a machine can be lent them.
fn disks(jobs: &[(usize, &Job)]) -> Vec<PathBuf> {
    let mut disks: Vec<PathBuf> = Vec::new();
    for (_, job) in jobs {
        let fresh: Vec<&PathBuf> = job.disks.iter().filter(|disk| !disks.contains(disk)).collect();
        if !disks.is_empty() && disks.len() + fresh.len() > LOANS {
            break;
        }
        disks.extend(fresh.into_iter().cloned());
    }
    disks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::image::Image;

    #[test]
    fn a_disk_in_two_shares_is_noticed() {
        let image = Image { name: "i".to_owned(), file: "i".into(), debug: None };
        let job = |env, disk: &str| Job { disks: vec![disk.into()], ..Job::new(env, image.clone()) };
        fn share(job: &Job) -> Share<'_> {
            Share { place: job.env.place(), snapshot: None, jobs: vec![(0, job)] }
        }
        let lends = |jobs: &[Job]| lends_twice(&jobs.iter().map(share).collect());
        assert!(lends(&[job(Env::Pv, "a"), job(Env::Kvm, "a")]));
        assert!(!lends(&[job(Env::Pv, "a"), job(Env::Kvm, "b")]));
        let jobs = [job(Env::Pv, "a"), job(Env::Pvh, "a"), job(Env::Kvm, "b")];
        assert!(uses_anothers_disk(&jobs[0], &jobs) && !uses_anothers_disk(&jobs[2], &jobs));
    }

    #[test]
    fn the_dearest_part_comes_first_and_what_shares_a_disk_is_one() {
        let image = Image { name: "i".to_owned(), file: "i".into(), debug: None };
        let plain = Job::new(Env::Pv, image);
        let disk = |disk: &str| Job { disks: vec![disk.into()], ..plain.clone() };
        let jobs = [
            plain.clone(),
            Job { limit: Duration::from_secs(400), ..plain.clone() },
            disk("a"),
            disk("a"),
            Job { boot: Boot::Disk, ..disk("b") },
            disk("c"),
        ];
        let parts = parted(jobs.iter().enumerate().collect(), &jobs);
        let indices: Vec<Vec<usize>> =
            parts.iter().map(|part| part.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(indices, [vec![1], vec![4, 5], vec![2, 3], vec![0]]);
    }

    #[test]
    fn a_second_try_is_told_with_its_reason() {
        let outcome = || Outcome::not_started(String::new());
        assert_eq!(outcome().second_try(), None);
        let failed = Outcome { lab_faults: 2, ..outcome() };
        assert_eq!(failed.second_try().as_deref(), Some("the lab's emulated processor failed it 2 times"));
        let lost = Outcome { lost_machine: Some("no answer\nqemu: gone\n".to_owned()), ..failed };
        assert_eq!(lost.second_try().as_deref(), Some("its machine was lost, no answer qemu: gone"));
    }

    #[test]
    fn outcomes_wait_for_their_turn() {
        let (mut order, mut seen) = (InOrder::new(), Vec::new());
        for index in [2, 0, 1, 3] {
            order.add(index, Outcome::not_started(String::new()), |index, _| seen.push((seen.len(), index)));
        }
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    }
}
