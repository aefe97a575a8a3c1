// SPDX-License-Identifier: MIT OR Apache-2.0
//! The date that a guest believes in, compared with that of the machine it runs in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::LabTest;
use super::shared::Shared;
use crate::env::{Env, Place};
use crate::guest::Job;
use crate::guest::session::Session;
use crate::image::build;
use crate::lab::machine::Role;
use crate::project::Project;
use crate::verdict::Verdict;

/// A test of a guest's date.
#[derive(Clone, Copy, Debug)]
pub struct ClockTest {
    /// A sentence.
    name: &'static str,
    env: Env,
    /// By how many seconds the machine's clock is set while the guest looks.
    step: Option<i64>,
    long: bool,
}

impl ClockTest {
    const fn new(name: &'static str, env: Env) -> Self {
        Self { name, env, step: None, long: false }
    }

    const fn setting(name: &'static str, env: Env, step: i64) -> Self {
        Self { name, env, step: Some(step), long: false }
    }

    const fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

/// All of them.
pub const TESTS: [ClockTest; 9] = [
    ClockTest::new("a_guests_date_is_its_hosts/pv", Env::Pv).long(),
    ClockTest::new("a_guests_date_is_its_hosts/pvh", Env::Pvh).long(),
    ClockTest::new("a_guests_date_is_its_hosts/pvhvm", Env::Pvhvm),
    ClockTest::new("a_guests_date_is_its_hosts/hvm", Env::Hvm).long(),
    ClockTest::new("a_guests_date_is_its_hosts/qemu-xen", Env::QemuXen).long(),
    ClockTest::new("a_guests_date_is_its_hosts/kvm", Env::Kvm),
    ClockTest::setting("time_goes_on_when_the_date_is_set_back/pv", Env::Pv, -3600).long(),
    ClockTest::setting("time_goes_on_when_the_date_is_set_back/pvh", Env::Pvh, -3600),
    ClockTest::setting("time_goes_on_when_the_date_is_set_far_ahead/pvhvm", Env::Pvhvm, 3_000_000_000).long(),
];

/// Seconds by which guest and host may differ beyond the time that the guest took. This asks whether
/// the date is the right one, not how exact it is: Xen's base is set by dom0, in its own time.
const TOLERANCE: f64 = 5.0;

impl LabTest for ClockTest {
    fn name(&self) -> &str {
        self.name
    }

    fn is_long(&self) -> bool {
        self.long
    }

    fn run(&self, shared: &mut Shared<'_>) -> Result<()> {
        self.compare(shared)
    }
}

impl ClockTest {
    fn compare(&self, shared: &mut Shared<'_>) -> Result<()> {
        if self.step.is_none() && self.env.place() == Place::XenLab {
            return {
                let project = shared.project;
                self.compare_in(project, shared.session()?)
            };
        }
        let lab = shared.project.lab();
        let role = if self.env.place() == Place::XenLab { Role::Xen } else { Role::Kvm };
        // Nobody else wants a machine whose date was set.
        let mut session = Session::open(&lab, &lab.ensure(role)?, &[])?;
        self.compare_in(shared.project, &mut session)
    }

    fn compare_in(&self, project: &Project, session: &mut Session) -> Result<()> {
        let image = build::build_by_name(project, "clock")?;
        let job = Job {
            command_line: self.step.map(|_| "set=yes".to_owned()).unwrap_or_default(),
            limit: Duration::from_secs(90),
            ..Job::new(self.env, image)
        };
        let before = date(session)?;
        if let Some(step) = self.step {
            session.agent().check(&set_clock(step))?;
        }
        let outcome = session.run(&job)?;
        let after = date(session)?;
        ensure!(outcome.verdict == Verdict::Success, "the guest failed:\n{}", outcome.console);
        let told = told(&outcome.console).with_context(|| format!("no date:\n{}", outcome.console))?;
        let latest = if self.step.is_some() { before + job.limit.as_secs_f64() } else { after };
        ensure!(
            (before - TOLERANCE..=latest + TOLERANCE).contains(&told),
            "the guest's date is {told}, but its host's was {before} before and {after} behind it"
        );
        Ok(())
    }
}

/// The machine's date, in seconds.
fn date(session: &mut Session) -> Result<f64> {
    session.agent().check("date +%s.%N")?.trim().parse().context("date tells no number")
}

/// A command in the background that sets dom0's clock, and with it Xen's, when the first guest asks
/// for it.
fn set_clock(step: i64) -> String {
    format!(
        "(said 'set the clock now' /var/log/xen/guest-prism1.log; date -s @$(($(date +%s) + {step}))) \
         >/dev/null 2>&1 &"
    )
}

/// The date that the guest printed.
fn told(console: &str) -> Option<f64> {
    console.lines().find_map(|line| line.strip_prefix("wall clock: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_read_from_its_own_line() {
        assert_eq!(told("prism::boot: wall clock: none\nwall clock: 12.500000000\n"), Some(12.5));
        assert_eq!(told("prism::boot: wall clock: Xen's shared page\n"), None);
    }
}
