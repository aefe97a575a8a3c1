// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts, in Prometheus's text format (version 0.0.4).

use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

use super::response::Status;

/// What a server has done.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: [AtomicU64; Status::ALL.len()],
    bytes: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

impl Metrics {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            answers: [const { AtomicU64::new(0) }; Status::ALL.len()],
            bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
        }
    }

    /// Answers of this status.
    pub fn answers(&self, status: Status) -> u64 {
        let place = Status::ALL.iter().position(|known| *known == status);
        place.and_then(|place| self.answers.get(place)).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self, status: Status, bytes: u64) {
        let place = Status::ALL.iter().position(|known| *known == status);
        if let Some(count) = place.and_then(|place| self.answers.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn begun(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// The counts as text.
    pub fn text(&self) -> String {
        let mut text = String::from("# TYPE prism_http_responses_total counter\n");
        for (status, count) in Status::ALL.iter().zip(&self.answers) {
            let count = count.load(Ordering::Relaxed);
            // Writing to a string does not fail.
            let _ = writeln!(text, "prism_http_responses_total{{code=\"{}\"}} {count}", status.code());
        }
        for (name, kind, value) in [
            ("prism_http_sent_bytes_total", "counter", &self.bytes),
            ("prism_http_connections_total", "counter", &self.connections),
            ("prism_http_connections", "gauge", &self.open),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
        }
        text
    }
}
