// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lab's build, which waits for the network and for disks more than for processors: it runs beside the
//! tests that need no lab.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::tally::Tally;
use crate::lab::Lab;
use crate::lab::machine::Role;

/// What it is called in reports.
const NAME: &str = "the lab's build, beside the host tests";

/// A build that goes on.
pub(super) struct Ahead(JoinHandle<(Result<()>, Duration)>);

impl Ahead {
    /// Begins to build whatever is missing of what nearly every run needs.
    pub(super) fn begin(lab: Lab) -> Self {
        Self(thread::spawn(move || {
            let begun = Instant::now();
            let built = Role::USUAL.into_iter().try_for_each(|role| lab.ensure(role).map(drop));
            (built, begun.elapsed())
        }))
    }

    /// Waits for its end. If it has failed, those who need the lab try again, and fail with the reason; if
    /// they do not, the report tells that it took two tries.
    pub(super) fn end(self, tally: &mut Tally) {
        let panicked = |_| (Err(anyhow!("it panicked")), Duration::ZERO);
        let (built, took) = self.0.join().unwrap_or_else(panicked);
        tally.beside(NAME, took);
        if let Err(error) = built {
            tally.tell_again(&format!("{NAME}: it failed at first: {error:#}"));
        }
    }
}
