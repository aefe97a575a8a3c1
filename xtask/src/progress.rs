// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is being done now: a spinner with the time on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step of work that may take a while, shown on standard error.
#[derive(Debug)]
pub struct Step {
    title: String,
    begun: Instant,
    /// When something was written about it last, where there is no terminal.
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Announces a step.
    pub fn begin(title: &str) -> Self {
        let bar = stderr().is_terminal().then(|| spinner(title));
        if bar.is_none() {
            eprintln!("making {title}");
        }
        let begun = Instant::now();
        Self { title: title.to_owned(), begun, told: begun, bar }
    }

    /// Tells how far it is: on a terminal at once, else in a line if there was none for so long.
    pub fn tell(&mut self, state: &str, pause: Duration) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {state}", self.title)),
            None if self.told.elapsed() >= pause => {
                self.told = Instant::now();
                eprintln!("making {}: {state}, {} s", self.title, self.begun.elapsed().as_secs());
            }
            None => {}
        }
    }

    /// Reports the end of the step. A step dropped without it has failed, and says nothing.
    pub fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        eprintln!("made {} in {} s", self.title, self.begun.elapsed().as_secs());
    }
}

/// Shows what a program has to say during a step, if one is shown.
pub fn show(step: Option<&Step>, text: &str) {
    match step.and_then(|step| step.bar.as_ref()) {
        Some(bar) => bar.suspend(|| eprint!("{text}")),
        None => eprint!("{text}"),
    }
}

/// Tells that nothing goes on until somebody else has ended.
pub fn wait_for(whom: &str) {
    eprintln!("waiting for {whom}");
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn spinner(title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} making {msg} {elapsed}");
    let bar = ProgressBar::new_spinner().with_message(title.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
