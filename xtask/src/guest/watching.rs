// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody sees of a guest while it runs: its console, and what the command beside it writes, as both
//! come. Who watches can also have the guest end.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;

use super::Job;
use super::beside::Launch;
use super::shared_console::{self, Said};
use super::shown::Shown;
use crate::lab::agent::{Agent, Output};
use crate::terminal;

/// How long it may take to ask a guest to end.
const ASKED: Duration = Duration::from_secs(60);

/// Lines that are kept to find out what the guest wrote to its debug port and to its console alike.
const KEPT: usize = 256;

/// What was shown of a guest's console.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The last lines.
    said: VecDeque<Said>,
    shown: Shown,
    /// Whether what was shown last, of whatever, is not a whole line.
    is_in_line: bool,
}

impl Screen {
    /// Shows what has come on the console.
    ///
    /// # Errors
    /// If standard output takes nothing.
    pub(super) fn show_console(&mut self, news: &[u8]) -> Result<()> {
        let news = self.news(news);
        self.show(news.as_bytes())
    }

    /// The guest's lines that are whole with this, on a line of their own.
    fn news(&mut self, news: &[u8]) -> String {
        let mut text = String::new();
        for part in news.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if let Some(line) = self.line.strip_suffix(b"\n") {
                let line = String::from_utf8_lossy(line).replace('\r', "");
                self.line.clear();
                text.push_str(&self.new_line(&line));
            }
        }
        self.shown.add(&text);
        if self.is_in_line && !text.is_empty() { format!("\n{text}") } else { text }
    }

    /// What a line has of the guest that did not come the other way already.
    fn new_line(&mut self, line: &str) -> String {
        let Some(said) = shared_console::said(line) else { return String::new() };
        let is_other = |other: &Said| other.text == said.text && other.by_debug_port != said.by_debug_port;
        if let Some(place) = self.said.iter().position(is_other) {
            self.said.remove(place);
            return String::new();
        }
        if self.said.len() == KEPT {
            self.said.pop_front();
        }
        self.said.push_back(said.clone());
        said.text
    }

    fn show(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(last) = bytes.last() {
            self.is_in_line = *last != b'\n';
            terminal::show(bytes)?;
        }
        Ok(())
    }

    /// What was shown.
    pub(super) fn into_shown(self) -> Shown {
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
    console_seen: usize,
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
            console_seen: 0,
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
        let news = agent.get_from(self.console, self.console_seen)?;
        self.console_seen += news.len();
        self.screen.show_console(&news)?;
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
    pub(super) fn into_shown(self) -> Shown {
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
        assert_eq!(screen.news(b"hel"), "");
        assert_eq!(screen.news(b"lo\r\nwor"), "hello\n");
        assert_eq!(screen.news(b"ld\n(XEN) d1\n"), "world\n");
        assert_eq!(screen.news(b""), "");
        assert_eq!(screen.into_shown().rest_of("hello\nworld\nmore"), "more");
    }

    #[test]
    fn a_line_that_comes_both_ways_is_shown_once() {
        let mut screen = Screen::default();
        assert_eq!(screen.news(b"(d3) early\n(d3) last\n"), "early\nlast\n");
        assert_eq!(screen.news(b"early\nlast\nhello\n"), "hello\n");
        assert_eq!(screen.news(b"(d3) hello\nhello\nhello\n"), "hello\nhello\n");
    }

    #[test]
    fn of_a_console_that_was_shown_no_more_is_kept_than_its_last_lines() {
        let mut screen = Screen::default();
        for number in 0..10 * KEPT {
            assert_eq!(screen.news(format!("request {number}\n").as_bytes()), format!("request {number}\n"));
        }
        assert_eq!((screen.said.len(), screen.line.len()), (KEPT, 0));
    }

    #[test]
    fn a_guest_that_is_not_there_yet_is_asked_to_end_at_a_later_look() {
        let scratch = Scratch::new().unwrap();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let (console, guest) = (path("console"), path("guest"));
        let image = Image { name: "i".to_owned(), file: "i".into(), debug: None };
        let stop = Arc::new(AtomicBool::new(false));
        let job = Job { watched: true, stop: Some(Arc::clone(&stop)), ..Job::new(Env::Pv, image) };
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
        stop.store(true, Ordering::Relaxed);
        assert!(!look());
        assert!(!fs::exists(&guest).unwrap());
        fs::write(&guest, "").unwrap();
        assert!(look() && look());
        assert_eq!(fs::read_to_string(&guest).unwrap(), "asked\n");
    }

    #[test]
    fn a_console_does_not_continue_a_visitors_line() {
        let mut screen = Screen { is_in_line: true, ..Screen::default() };
        assert_eq!(screen.news(b"hello\n"), "\nhello\n");
    }
}
