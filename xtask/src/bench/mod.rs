// SPDX-License-Identifier: MIT OR Apache-2.0
//! Comparing Prism's drivers with Linux's: both as guests of the same Xen, in the same session, one
//! after the other, again and again; and environments with each other, by how often guests leave them.
//!
//! The machine beneath is shared and emulated: what is kept are counts, which Xen's trace gives, and
//! ratios of runs that follow one another.

mod backends;
mod baseline;
mod boot;
mod chart;
pub mod check;
mod cost;
mod disks;
mod network;
mod page;
mod primitives;
mod ratio;
mod size;
mod spectrum;
mod suspend;

use anyhow::{Context, Result, ensure};

use crate::cli::{Bench, Benchmark};
use crate::env::Env;
use crate::guest::session::Session;
use crate::lab::machine::Role;
use crate::nearest;
use crate::project::Project;
use cost::Cost;

/// The environments in which both can be compared.
const ENVS: [Env; 3] = [Env::Pv, Env::Pvh, Env::Pvhvm];

/// One of those that are compared.
trait Contender {
    /// One run of everything that is measured.
    fn run(&self, session: &mut Session, env: Env) -> Result<Vec<Measured>>;
}

/// What was measured of one workload.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    /// The workload, with its unit in brackets.
    name: &'static str,
    /// Units in a second.
    rate: f64,
    /// Units that were done while Xen counted what they cost.
    units: f64,
    cost: Cost,
}

/// What both did in an environment, pair by pair.
struct Comparison {
    env: Env,
    pairs: Vec<Pair>,
}

/// A run of ours, and the run of Linux's that followed it.
struct Pair {
    ours: Vec<Measured>,
    linux: Vec<Measured>,
    /// The part of the time in which the lab machine wanted a processor and had none, the larger one of both
    /// runs, from 0 to 1.
    in_vain: f64,
}

/// So much of its time a lab machine may wait for a processor. One that has to share them with others takes
/// many times as long whenever a guest waits for another one, and every time that Xen counts is longer.
const QUIET: f64 = 0.1;

impl Pair {
    /// Whether the lab machine had the processors to itself.
    fn is_quiet(&self) -> bool {
        self.in_vain <= QUIET
    }
}

/// The environments of `all` to measure in, and how often: those that were asked for, or the first one if
/// it is to be quick.
fn chosen(options: &Bench, all: &[Env]) -> Result<(Vec<Env>, u32)> {
    let known = |name: &String| {
        let found = all.iter().copied().find(|env| env.name() == name);
        let unknown = || nearest::unknown("environment for this", name, all.iter().map(|env| env.name()));
        found.with_context(unknown)
    };
    let (usual, rounds) = if options.quick { (&all[..1], 1) } else { (all, options.rounds) };
    let asked = options.envs.iter().map(known).collect::<Result<Vec<Env>>>()?;
    Ok((if asked.is_empty() { usual.to_vec() } else { asked }, rounds))
}

/// How often a guest may fail, but for the last time: on a busy machine a backend, or Linux, may not be ready
/// in time.
const TRIES: u32 = 3;

/// What comes of something that is tried that often.
///
/// # Errors
/// Those of the last time.
fn again<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match attempt() {
            Err(error) => eprintln!("tried again, as it failed: {error:#}"),
            done => return done,
        }
    }
    attempt()
}

/// Measures, and prints the table, or writes it and the picture into `docs/`.
///
/// # Errors
/// If the lab fails, or a guest.
pub fn run(project: &Project, options: &Bench) -> Result<u8> {
    type Contenders = fn(&Project, &mut Session, &Bench) -> Result<[Box<dyn Contender>; 2]>;
    let (title, contenders): (_, Contenders) = match options.what {
        Benchmark::Spectrum => return spectrum::run(project, options),
        Benchmark::Primitives => return primitives::run(project, options),
        Benchmark::Boot => return boot::run(project, options),
        Benchmark::Size => return size::run(project, options),
        Benchmark::Check => return check::run(project, options),
        Benchmark::Blk => {
            (disks::TITLE, |project, session, options| disks::contenders(project, session, options.quick))
        }
        Benchmark::Net => (network::TITLE, |project, session, _| network::contenders(project, session)),
        Benchmark::Backends => {
            (backends::TITLE, |project, session, _| backends::contenders(project, session))
        }
        Benchmark::Suspend => (suspend::TITLE, |project, session, _| suspend::contenders(project, session)),
    };
    ensure!(!options.draw, "--draw is for spectrum: the others' pictures show what is not in their tables");
    let all = match options.what {
        Benchmark::Suspend => &suspend::ENVS[..],
        Benchmark::Backends => &backends::ENVS[..],
        _ => &ENVS[..],
    };
    let (envs, rounds) = chosen(options, all)?;
    let lab = project.lab();
    let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, &[])?;
    let [ours, linux] = contenders(project, &mut session, options)?;
    let mut comparisons = Vec::new();
    for env in envs {
        let mut pairs = Vec::new();
        for round in 1..=rounds {
            eprintln!("{}: round {round} of {rounds}", env.name());
            let mut in_vain: f64 = 0.0;
            let mut run = |contender: &dyn Contender| {
                let before = session.processor_time();
                let measured = again(|| contender.run(&mut session, env));
                in_vain = in_vain.max(session.processor_time().since(before).in_vain());
                measured
            };
            let (ours, linux) = (run(&*ours)?, run(&*linux)?);
            pairs.push(Pair { ours, linux, in_vain });
        }
        comparisons.push(Comparison { env, pairs });
        // What is known by now is not lost if an environment after it fails.
        eprintln!("{}", page::table(&comparisons[comparisons.len() - 1..]));
    }
    let table = page::table(&comparisons);
    println!("{table}");
    if options.is_whole() {
        page::publish(project, options.what.name(), &table, &chart::svg(title, &comparisons))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_fails_now_and_then_is_tried_again_and_what_always_fails_is_an_error() {
        let run = |good: u32| {
            let mut times = 0;
            let result = again(|| {
                times += 1;
                if times < good { bail!("not yet") } else { Ok(()) }
            });
            (result.is_ok(), times)
        };
        assert_eq!([run(1), run(TRIES), run(TRIES + 1)], [(true, 1), (true, TRIES), (false, TRIES)]);
    }
}
