// SPDX-License-Identifier: MIT OR Apache-2.0
//! Comparing Prism's drivers with Linux's: both as guests of the same Xen, in the same session, one
//! after the other, again and again.
//!
//! The machine beneath is shared and emulated: what is kept are counts, which Xen's trace gives, and
//! ratios of runs that follow one another.

mod chart;
mod contender;
mod page;
mod ratio;
mod trace;
mod workload;

use std::fs;

use anyhow::{Context, Result};

use crate::cli::Bench;
use crate::env::Env;
use crate::guest::session::Session;
use crate::lab::machine::Role;
use crate::project::Project;
use contender::{Contender, Run};

/// The environments in which both can be compared.
const ENVS: [Env; 3] = [Env::Pv, Env::Pvh, Env::Pvhvm];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Extent {
    envs: &'static [Env],
    /// Pairs of runs.
    rounds: usize,
    /// The workloads' requests are divided by this.
    divisor: u64,
}

const FULL: Extent = Extent { envs: &ENVS, rounds: 3, divisor: 1 };
const QUICK: Extent = Extent { envs: &[Env::Pv], rounds: 1, divisor: 10 };

/// What both did in an environment, pair by pair.
struct Comparison {
    env: Env,
    /// The workloads' requests were divided by this.
    divisor: u64,
    pairs: Vec<Pair>,
}

/// A run of ours, and the run of Linux's that followed it.
struct Pair {
    ours: Run,
    linux: Run,
}

/// The environment of this name, if both can be compared in it.
fn known(name: &str) -> Result<Env> {
    let found = ENVS.into_iter().find(|env| env.name() == name);
    found.with_context(|| format!("{name} is no environment for this: pv, pvh and pvhvm are"))
}

/// Measures, and prints the table, or writes it and the picture into `docs/`.
///
/// # Errors
/// If the lab fails, or a guest.
pub fn run(project: &Project, options: &Bench) -> Result<u8> {
    let extent = if options.quick { QUICK } else { FULL };
    let envs = options.envs.iter().map(|name| known(name)).collect::<Result<Vec<Env>>>()?;
    let envs = if envs.is_empty() { extent.envs } else { &envs };
    let lab = project.lab();
    let mut session = Session::open(&lab, &lab.ensure(Role::Xen)?, &[])?;
    let (ours, linux) = (Contender::ours(project)?, Contender::linux(project, &mut session)?);
    let mut comparisons = Vec::new();
    for &env in envs {
        let mut pairs = Vec::new();
        for round in 1..=extent.rounds {
            eprintln!("{}: round {round} of {}", env.name(), extent.rounds);
            let mut measure = |contender: &Contender| contender.run(&mut session, env, extent.divisor);
            pairs.push(Pair { ours: measure(&ours)?, linux: measure(&linux)? });
        }
        comparisons.push(Comparison { env, divisor: extent.divisor, pairs });
    }
    let table = page::table(&comparisons);
    println!("{table}");
    if !options.quick {
        let docs = project.root().join("docs");
        let write = |name: &str, text: &str| {
            fs::write(docs.join(name), text).with_context(|| format!("cannot write docs/{name}"))
        };
        write("benchmarks.md", &page::page(&table))?;
        write("blk.svg", &chart::svg(&comparisons))?;
        println!("written to docs/benchmarks.md and docs/blk.svg");
    }
    Ok(0)
}
