// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running many jobs: they are parted into shares, each of which has a machine of its own in which jobs
//! follow each other; two shares are worked on at a time, and outcomes are reported as they come.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::session::Session;
use super::{Job, Outcome, direct};
use crate::env::Place;
use crate::guest::places::Places;
use crate::lab::Lab;
use crate::lab::machine::{LOANS, Role};
use crate::lab::snapshot::Snapshot;

/// Shares that are worked on at the same time: a lab machine keeps one to two processors busy. Only one is if
/// they are lent the same disk, which two machines must not write to.
const WORKERS: usize = 2;

/// Jobs of a share, but for those that must stay together: few enough that the last ones leave no worker
/// without work for long, many enough that loading a machine for them costs little.
const TOGETHER: usize = 24;

/// A guest's memory in MiB that is much: two such guests do not run at the same time.
const MUCH: u32 = 1024;

/// A share of the work, in one place.
struct Share<'a> {
    lab: &'a Lab,
    place: Place,
    /// The machine to load, unless each guest is a process of its own.
    snapshot: Option<Snapshot>,
    jobs: Vec<(usize, &'a Job)>,
}

/// Where outcomes are sent, with the indices of their jobs.
type Outcomes = Sender<(usize, Result<Outcome>)>;

/// Runs all jobs and reports each outcome with its job's index.
///
/// # Errors
/// If the lab cannot be built or its machines do not start.
pub fn run(lab: &Lab, jobs: &[Job], mut report: impl FnMut(usize, Outcome)) -> Result<()> {
    let shares = shares(lab, jobs)?;
    let workers = if lends_twice(&shares) { 1 } else { WORKERS };
    let queue = Mutex::new(shares);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                while let Some(share) = next(queue) {
                    share.work(&sender);
                }
            });
        }
        drop(sender);
        receiver.into_iter().try_for_each(|(index, outcome)| {
            report(index, outcome?);
            Ok(())
        })
    })
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

/// The work by place, the longest first, with everything built that it needs. What uses a disk that another
/// one uses too, or much memory, is one share.
fn shares<'a>(lab: &'a Lab, jobs: &'a [Job]) -> Result<VecDeque<Share<'a>>> {
    lab.ensure_root()?;
    let mut places = Places::new(lab);
    let placed: Vec<(Place, usize, &Job)> =
        jobs.iter().enumerate().map(|(index, job)| (place(&mut places, job), index, job)).collect();
    let mut shares = VecDeque::new();
    for place in [Place::XenLab, Place::Direct, Place::KvmLab] {
        let mine = placed.iter().filter(|(other, ..)| *other == place);
        let (bound, free): (Vec<_>, Vec<_>) = mine
            .map(|(_, index, job)| (*index, *job))
            .partition(|(_, job)| job.memory >= MUCH || uses_anothers_disk(job, jobs));
        let parts = [bound.as_slice()].into_iter().chain(free.chunks(TOGETHER));
        for part in parts.filter(|part| !part.is_empty()) {
            shares.push_back(Share { lab, place, snapshot: snapshot(lab, place)?, jobs: part.to_vec() });
        }
    }
    Ok(shares)
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

impl Share<'_> {
    fn work(&self, outcomes: &Outcomes) {
        let mut session = None;
        for (position, &(index, job)) in self.jobs.iter().enumerate() {
            let begun = Instant::now();
            let outcome = match &self.snapshot {
                None => direct::run(self.lab, job),
                Some(snapshot) => self.run_in(&mut session, snapshot, position),
            };
            let outcome = outcome.with_context(|| format!("{}: {:?} failed", job.env.name(), self.place));
            let outcome = outcome.map(|outcome| Outcome { took: begun.elapsed(), ..outcome });
            // Nobody listens any more once something has failed.
            if outcomes.send((index, outcome)).is_err() {
                return;
            }
        }
    }

    /// Runs a job in the open session or in a new one; a broken machine is replaced once.
    fn run_in(&self, session: &mut Option<Session>, snapshot: &Snapshot, position: usize) -> Result<Outcome> {
        let (_, job) = self.jobs[position];
        if let Some(mut open) = session.take().filter(|open| open.has_disks_of(job))
            && let Ok(outcome) = open.run(job)
        {
            *session = Some(open);
            return Ok(outcome);
        }
        let mut fresh = Session::open(self.lab, snapshot, &disks(&self.jobs[position..]))?;
        match fresh.run(job) {
            Ok(outcome) => {
                *session = Some(fresh);
                Ok(outcome)
            }
            // The guest took the machine beneath it down: that is an outcome.
            Err(error) => Ok(Outcome::not_started(format!("{error:#}\n{}", fresh.last_words()))),
        }
    }
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
        let lab = Lab::new("l".into());
        fn share<'a>(lab: &'a Lab, job: &'a Job) -> Share<'a> {
            Share { lab, place: job.env.place(), snapshot: None, jobs: vec![(0, job)] }
        }
        let lends = |jobs: &[Job]| lends_twice(&jobs.iter().map(|job| share(&lab, job)).collect());
        assert!(lends(&[job(Env::Pv, "a"), job(Env::Kvm, "a")]));
        assert!(!lends(&[job(Env::Pv, "a"), job(Env::Kvm, "b")]));
        let jobs = [job(Env::Pv, "a"), job(Env::Pvh, "a"), job(Env::Kvm, "b")];
        assert!(uses_anothers_disk(&jobs[0], &jobs) && !uses_anothers_disk(&jobs[2], &jobs));
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
