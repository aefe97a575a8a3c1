// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody sees of a guest while it runs: its console, and what the command beside it writes, as both
//! come. Who watches can also have the guest end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;

use super::beside::Launch;
use super::{Job, shared_console};
use crate::lab::agent::{Agent, Output};
use crate::terminal;

/// How long it may take to ask a guest to end.
const ASKED: Duration = Duration::from_secs(60);

/// What was shown of a guest's console.
#[derive(Debug, Default)]
pub(super) struct Screen {
    shown: String,
    /// Whether what was shown last, of whatever, is not a whole line.
    is_in_line: bool,
}

impl Screen {
    /// Shows what is new on the console, which has all this by now.
    ///
    /// # Errors
    /// If standard output takes nothing.
    pub(super) fn show_console(&mut self, console: &str) -> Result<()> {
        let news = self.news(console);
        self.show(news.as_bytes())
    }

    /// The whole lines of the guest's that were not shown yet, on a line of their own.
    fn news(&mut self, console: &str) -> String {
        let end = console.rfind('\n').map_or(0, |end| end + 1);
        let guest = shared_console::split(&console[..end]).guest;
        // What it turns out to have written twice is not taken back: the report has all of it then.
        let Some(news) = guest.strip_prefix(&self.shown).filter(|news| !news.is_empty()) else {
            return String::new();
        };
        let news = format!("{}{news}", if self.is_in_line { "\n" } else { "" });
        self.shown = guest;
        news
    }

    fn show(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(last) = bytes.last() {
            self.is_in_line = *last != b'\n';
            terminal::show(bytes)?;
        }
        Ok(())
    }

    /// What was shown.
    pub(super) fn into_shown(self) -> String {
        self.shown
    }
}

/// A guest in a lab machine that may be watched.
#[derive(Debug)]
pub(super) struct Watching<'a> {
    job: &'a Job,
    /// The file that has what the guest writes.
    console: &'a str,
    /// The file that has what is written beside it.
    beside: Option<String>,
    on_console: Vec<u8>,
    beside_seen: usize,
    screen: Screen,
    /// The command that asks the guest to end: it fails if it cannot be asked yet.
    end: String,
    was_asked: bool,
}

impl<'a> Watching<'a> {
    /// The guest whose console is written to this file, and which this command asks to end.
    pub(super) fn new(job: &'a Job, console: &'a str, end: String, launch: Option<&Launch>) -> Self {
        Self {
            job,
            console,
            beside: launch.map(Launch::output),
            on_console: Vec::new(),
            beside_seen: 0,
            screen: Screen::default(),
            end,
            was_asked: false,
        }
    }

    /// Runs the command that starts the guest to its end.
    ///
    /// # Errors
    /// If the machine does not answer within the job's limit and `grace`.
    pub(super) fn run(&mut self, agent: &mut Agent, start: &str, grace: Duration) -> Result<Output> {
        let limit = self.job.limit.saturating_add(grace);
        if self.job.watched {
            agent.sh_watching(start, limit, |agent| self.look(agent))
        } else {
            agent.sh(start, limit)
        }
    }

    fn look(&mut self, agent: &mut Agent) -> Result<()> {
        let news = agent.get_from(self.console, self.on_console.len())?;
        if !news.is_empty() {
            self.on_console.extend_from_slice(&news);
            let console = String::from_utf8_lossy(&self.on_console).replace('\r', "");
            self.screen.show_console(&console)?;
        }
        if let Some(beside) = &self.beside {
            let news = agent.get_from(beside, self.beside_seen)?;
            self.beside_seen += news.len();
            self.screen.show(&news)?;
        }
        if !self.was_asked && self.job.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            // One that is not there yet is asked at the next look.
            self.was_asked = agent.sh(&format!("({}) >/dev/null 2>&1", self.end), ASKED)?.status == 0;
        }
        Ok(())
    }

    /// Whether the person had the guest end.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked
    }

    /// What was shown of the guest's console.
    pub(super) fn into_shown(self) -> String {
        self.screen.into_shown()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::env::Env;
    use crate::image::Image;
    use crate::lab::agent::tests::agent_of_this_machine;
    use crate::scratch::Scratch;

    #[test]
    fn a_console_is_shown_line_by_line_and_without_the_hypervisors() {
        let mut screen = Screen::default();
        assert_eq!(screen.news("hel"), "");
        assert_eq!(screen.news("hello\nwor"), "hello\n");
        assert_eq!(screen.news("hello\nworld\n(XEN) d1\n"), "world\n");
        assert_eq!(screen.news("hello\nworld\n(XEN) d1\n"), "");
        assert_eq!(screen.into_shown(), "hello\nworld\n");
    }

    #[test]
    fn a_guest_that_is_not_there_yet_is_asked_to_end_at_a_later_look() {
        let scratch = Scratch::new().unwrap();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let (console, guest) = (path("console"), path("guest"));
        let image = Image { name: "i".to_owned(), file: "i".into(), debug: None };
        let stop = Some(Arc::new(AtomicBool::new(false)));
        let job = Job { watched: true, stop: stop.clone(), ..Job::new(Env::Pv, image) };
        let mut agent = agent_of_this_machine();
        let end = format!("[ -e {guest} ] && echo asked >>{guest}");
        let mut watching = Watching::new(&job, &console, end, None);
        let mut look = || {
            watching.look(&mut agent).unwrap();
            watching.was_asked()
        };
        fs::write(&guest, "").unwrap();
        assert!(!look());
        fs::remove_file(&guest).unwrap();
        stop.unwrap().store(true, Ordering::Relaxed);
        assert!(!look());
        assert!(!fs::exists(&guest).unwrap());
        fs::write(&guest, "").unwrap();
        assert!(look() && look());
        assert_eq!(fs::read_to_string(&guest).unwrap(), "asked\n");
    }

    #[test]
    fn a_console_does_not_continue_a_visitors_line() {
        let mut screen = Screen { is_in_line: true, ..Screen::default() };
        assert_eq!(screen.news("hello\n"), "\nhello\n");
    }
}
