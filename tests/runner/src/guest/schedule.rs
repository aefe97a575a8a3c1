// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running many jobs: those of one place share a machine and follow each other, two places work
//! at a time, and outcomes are reported as they come.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Context, Result};

use super::session::Session;
use super::{Job, Outcome, direct};
use crate::env::Place;
use crate::guest::places::Places;
use crate::lab::Lab;
use crate::lab::machine::Role;
use crate::lab::snapshot::Snapshot;

/// Places that work at the same time: a lab machine keeps one to two processors busy.
const WORKERS: usize = 2;

/// One place's share of the work.
struct Share {
    place: Place,
    snapshot: Option<Snapshot>,
    jobs: Vec<usize>,
}

/// Runs all jobs and reports each outcome with its job's index.
///
/// # Errors
/// If the lab cannot be built or its machines do not start.
pub fn run(lab: &Lab, jobs: &[Job], mut report: impl FnMut(usize, Outcome)) -> Result<()> {
    let queue = Mutex::new(shares(lab, jobs)?);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let sender = sender.clone();
            let queue = &queue;
            scope.spawn(move || {
                while let Some(share) = next(queue) {
                    work(lab, jobs, &share, &sender);
                }
            });
        }
        drop(sender);
        for (index, outcome) in receiver {
            report(index, outcome?);
        }
        Ok(())
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

fn next(queue: &Mutex<VecDeque<Share>>) -> Option<Share> {
    queue.lock().ok()?.pop_front()
}

/// The work by place, the longest first, with everything built that it needs.
fn shares(lab: &Lab, jobs: &[Job]) -> Result<VecDeque<Share>> {
    lab.ensure_root()?;
    let mut shares = VecDeque::new();
    let mut places = Places::new(lab);
    let place_of: Vec<Place> = jobs.iter().map(|job| places.of(job.env)).collect();
    for place in [Place::XenLab, Place::Direct, Place::KvmLab] {
        let mine: Vec<usize> = (0..jobs.len()).filter(|&index| place_of[index] == place).collect();
        if mine.is_empty() {
            continue;
        }
        let snapshot = match place {
            Place::Direct => None,
            Place::XenLab => Some(lab.ensure(Role::Xen)?),
            Place::KvmLab => Some(lab.ensure(Role::Kvm)?),
        };
        shares.push_back(Share { place, snapshot, jobs: mine });
    }
    Ok(shares)
}

type Report = Sender<(usize, Result<Outcome>)>;

fn work(lab: &Lab, jobs: &[Job], share: &Share, report: &Report) {
    let mut session = None;
    for &index in &share.jobs {
        let outcome = match &share.snapshot {
            None => direct::run(lab, &jobs[index]),
            Some(snapshot) => in_session(lab, snapshot, &mut session, jobs, share, index),
        };
        let outcome =
            outcome.with_context(|| format!("{:?}: {} failed", share.place, jobs[index].env.name()));
        // Nobody listens any more once a job has failed.
        if report.send((index, outcome)).is_err() {
            return;
        }
    }
}

/// Runs a job in the open session, or in a new one; a broken machine is replaced once.
fn in_session(
    lab: &Lab,
    snapshot: &Snapshot,
    session: &mut Option<Session>,
    jobs: &[Job],
    share: &Share,
    index: usize,
) -> Result<Outcome> {
    let disks = disks(share.jobs.iter().map(|&index| &jobs[index]));
    if let Some(mut open) = session.take()
        && let Ok(outcome) = open.run(&jobs[index])
    {
        *session = Some(open);
        return Ok(outcome);
    }
    let mut fresh = Session::open(lab, snapshot, &disks)?;
    match fresh.run(&jobs[index]) {
        Ok(outcome) => {
            *session = Some(fresh);
            Ok(outcome)
        }
        // The guest took the machine beneath it down: that is an outcome.
        Err(error) => Ok(Outcome::not_started(format!("{error:#}"))),
    }
}

/// The disks of all jobs, each once.
fn disks<'a>(jobs: impl Iterator<Item = &'a Job>) -> Vec<PathBuf> {
    let mut disks = Vec::new();
    for disk in jobs.flat_map(|job| &job.disks) {
        if !disks.contains(disk) {
            disks.push(disk.clone());
        }
    }
    disks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_wait_for_their_turn() {
        let (mut order, mut seen) = (InOrder::new(), Vec::new());
        for index in [2, 0, 1, 3] {
            order.add(index, Outcome::not_started(String::new()), |index, _| seen.push((seen.len(), index)));
        }
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    }
}
