// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server: what its connections share.

use alloc::string::String;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use super::date::Date;
use super::metrics::Metrics;
use super::response::Status;

/// What the connections of a server share.
pub struct Server<S, C> {
    /// What is served.
    pub site: S,
    /// The time.
    pub clock: C,
    /// What has been done; also served, as `/metrics`.
    pub metrics: Metrics,
    /// Told of each answer: what was asked for, and how many bytes of it were sent.
    pub log: fn(&str, Status, u64),
    /// Time since the beginning of 1970, if it is known.
    pub wall_clock: fn() -> Option<Duration>,
    /// More metrics, in the same format.
    pub more_metrics: fn(&mut String),
    stopping: AtomicBool,
    resumes: AtomicU32,
}

impl<S, C> Server<S, C> {
    /// A server of `site` that keeps no log, and does not know the date.
    pub fn new(site: S, clock: C) -> Self {
        Self {
            site,
            clock,
            metrics: Metrics::new(),
            log: |_, _, _| (),
            wall_clock: || None,
            more_metrics: |_| (),
            stopping: AtomicBool::new(false),
            resumes: AtomicU32::new(0),
        }
    }

    /// Has each connection end after the answer that it is at.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// To be called when the domain goes on after it was suspended: clients that are waited for then have
    /// [`RESUMED_TIME`](super::RESUMED_TIME).
    pub fn note_resume(&self) {
        self.resumes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn resumes(&self) -> u32 {
        self.resumes.load(Ordering::Acquire)
    }

    pub(super) fn date(&self) -> Option<Date> {
        (self.wall_clock)().and_then(Date::new)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
