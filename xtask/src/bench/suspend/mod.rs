// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's own share of being saved and restored: what it costs until it is suspended, and from its first
//! instruction afterwards until a client has an answer.

use anyhow::Result;

use super::Contender;
use super::network::{self, Stage, Workload};
use crate::env::Env;
use crate::guest::session::Session;
use crate::project::Project;

/// What the picture shows.
pub(super) const TITLE: &str = "A web server that is saved and restored";

/// Where Linux too comes back: with a device model the emulated processor often fails one of them.
pub(super) const ENVS: [Env; 2] = [Env::Pv, Env::Pvh];

const STAGES: &[Stage] = &[Stage {
    app: "httpd",
    clients: concat!(include_str!("../cost.sh"), include_str!("measure.sh")),
    workloads: &[
        Workload { key: "suspend", name: "save (a time)", parse: of_time },
        Workload { key: "resume", name: "restore, to the first answer (a time)", parse: of_time },
    ],
}];

/// Prism's web server and Linux's.
pub(super) fn contenders(project: &Project, session: &mut Session) -> Result<[Box<dyn Contender>; 2]> {
    network::servers(project, session, STAGES)
}

/// Once, in so many seconds.
fn of_time(said: &str) -> Option<(f64, f64)> {
    let (_, rest) = said.split_once("from ")?;
    let (begun, rest) = rest.split_once(" to ")?;
    let ended = rest.lines().next()?;
    let took = ended.trim().parse::<f64>().ok()? - begun.trim().parse::<f64>().ok()?;
    // What is too short for dom0's clock took about half of its tick.
    Some((1.0, 1.0 / took.max(0.005)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_begin_and_end() {
        assert_eq!(of_time("from 10.00 to 10.50\n"), Some((1.0, 2.0)));
        assert_eq!(of_time("from 10.00 to 10.00\n"), Some((1.0, 200.0)));
        assert_eq!(of_time("from 10.00\n"), None);
    }
}
