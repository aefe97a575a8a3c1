// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lab machine does beside a guest: a shell command that plays the guest's peer.

use std::time::Duration;

use anyhow::Result;

use super::Job;
use super::session::Session;
use super::xl::MADE;
use crate::lab::agent::Agent;

/// What a server's console has when it works: what visits it waits for that.
pub const READY: &str = ": ready";

/// When a command beside a guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When the guest has written this on its console: a pattern of `grep`, without single quotes.
    Said(&'static str),
    /// When the guest is made but does not run yet. The command has to let it, by
    /// `xl unpause $DOMID`. Only for guests of `xl`.
    Paused,
}

/// A shell command for the machine in which a guest runs: dom0, or the host of a QEMU.
///
/// It finds in its environment `GUEST`, the guest's name; `DOMID`, its number, if it is a guest of
/// `xl`; `PEER`, the path of the program of `tests/dom0-peer`, if it names it; and `OTHER`, that of the image
/// of another guest, if the job has one. It may go on for a few seconds after its guest, and is ended then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// When it starts.
    pub when: When,
    /// The command, which may be a whole script.
    pub command: &'static str,
    /// Whether the guest, a server, is to end after it. One of `xl` is asked to, and destroyed if it cannot
    /// be asked; a QEMU is told to quit. Then the command's success is the guest's.
    pub ends_guest: bool,
}

impl Beside {
    /// Whether the command uses the program of `tests/dom0-peer`.
    pub fn needs_peer(&self) -> bool {
        self.command.contains("$PEER")
    }
}

/// What came of a command beside a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// Whether its moment came.
    pub started: bool,
    /// Exit status; `None` if it never started, or had to be ended.
    pub status: Option<i32>,
    /// What it wrote.
    pub output: String,
    /// How long it ran.
    pub took: Duration,
}

impl Companion {
    /// What is wrong with its end, if anything is.
    pub fn fault(&self) -> Option<String> {
        match self.status {
            Some(0) => None,
            Some(status) => {
                Some(format!("the command beside it ended with status {status}{}", self.last_words()))
            }
            None if self.started => Some("the command beside it did not end".to_owned()),
            None => Some("the command beside it did not start: its moment never came".to_owned()),
        }
    }

    /// Which of its checks failed, by its own words, or what it wrote last: why it failed, mostly.
    fn last_words(&self) -> String {
        let lines = || self.output.lines().map(str::trim);
        let failed: Vec<_> = lines().filter(|line| line.starts_with("FAILED: ")).collect();
        match lines().rfind(|line| !line.is_empty()) {
            Some(_) if !failed.is_empty() => format!(": {}", failed.join("; ")),
            Some(last) => format!(": {last}"),
            None => String::new(),
        }
    }
}

/// Time that a command has beyond the end of its guest.
const GRACE: Duration = Duration::from_secs(30);

/// The machine's files about a guest.
pub(super) struct Files<'a> {
    /// The guest's name.
    pub name: &'a str,
    /// What is written to its consoles, one or more.
    pub consoles: &'a str,
    /// Where `xl` says that it has made the guest.
    pub made: &'a str,
    /// The shell command that has it end.
    pub end: &'a str,
    /// What stands before the job's command.
    pub prelude: &'a str,
}

/// A command that is ready to be started in the machine.
pub(super) struct Launch {
    /// The beginning of the names of its files.
    stem: String,
}

impl Launch {
    /// Brings the job's command, if it has one, into the machine.
    ///
    /// # Errors
    /// If the machine does not answer, or has no room.
    pub(super) fn prepare(session: &mut Session, job: &Job, files: &Files<'_>) -> Result<Option<Self>> {
        let Some(beside) = &job.beside else { return Ok(None) };
        let peer = match &job.peer {
            Some(program) => session.push_program(program)?,
            None => String::new(),
        };
        let other = match &job.other {
            Some(image) => session.push_program(image)?,
            None => String::new(),
        };
        let launch = Self { stem: format!("/tmp/{}.beside", files.name) };
        let script = script(beside, &launch.stem, [&peer, &other], files, job.limit);
        session.agent().put(&format!("{}.sh", launch.stem), script.as_bytes())?;
        Ok(Some(launch))
    }

    /// Where what it writes is kept.
    pub(super) fn output(&self) -> String {
        format!("{}.out", self.stem)
    }

    /// What starts it in the background: to be put in front of the command that starts the guest.
    pub(super) fn prefix(&self) -> String {
        format!("setsid sh {}.sh </dev/null >/dev/null 2>&1 & ", self.stem)
    }

    /// Waits for the command's end, the guest's having come; ends it if that takes long.
    ///
    /// # Errors
    /// If the machine does not answer.
    pub(super) fn collect(&self, agent: &mut Agent) -> Result<Companion> {
        let stem = &self.stem;
        agent.check(&format!(
            "i=0; until [ -s {stem}.status ] || [ $i -ge {} ]; do sleep 0.1; i=$((i + 1)); done; \
             [ -s {stem}.status ] || kill -KILL -$(cat {stem}.pid) 2>/dev/null; true",
            GRACE.as_secs() * 10
        ))?;
        let end = agent.get(&format!("{stem}.status"))?;
        let (status, took) = status(&String::from_utf8_lossy(&end));
        let output = agent.get(&format!("{stem}.out"))?;
        let started = agent.sh(&format!("[ -e {stem}.out ]"), GRACE)?.status == 0;
        agent.check(&format!("rm -f {stem}.*"))?;
        Ok(Companion { started, status, output: String::from_utf8_lossy(&output).into_owned(), took })
    }
}

/// The exit status that the script has noted down, and how long the command ran.
fn status(note: &str) -> (Option<i32>, Duration) {
    let mut words = note.split_whitespace();
    let status = words.next().and_then(|word| word.parse().ok());
    let [begun, ended] = [words.next(), words.next()].map(|word| word.and_then(uptime).unwrap_or_default());
    (status, ended.saturating_sub(begun))
}

/// A time as `/proc/uptime` has it.
pub(super) fn uptime(word: &str) -> Option<Duration> {
    word.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// The script that waits for its moment, runs the command, and notes down how it ended.
fn script(
    beside: &Beside,
    stem: &str,
    [peer, other]: [&str; 2],
    files: &Files<'_>,
    limit: Duration,
) -> String {
    let Files { name, consoles, made, end, prelude } = files;
    let moment = match beside.when {
        When::Said(text) => format!("'{text}' {consoles}"),
        When::Paused => format!("'{MADE}' {made}"),
    };
    format!(
        "echo $$ >{stem}.pid\n\
         said -t {} {moment} || exit 1\n\
         export GUEST={name} PEER={peer} OTHER={other} DOMID=$(xl domid {name} 2>/dev/null)\n\
         read begun rest </proc/uptime\n\
         (\n{prelude}{}\n) >{stem}.out 2>&1\n\
         status=$?; read ended rest </proc/uptime; echo $status $begun $ended >{stem}.status\n\
         {}\n",
        limit.as_secs(),
        beside.command,
        if beside.ends_guest { end } else { "" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_names_the_peer_needs_it() {
        let beside = |command| Beside { when: When::Said("ready"), command, ends_guest: false };
        assert!(beside("$PEER events $DOMID").needs_peer());
        assert!(!beside("ping -c 1 10.0.0.2").needs_peer());
    }

    #[test]
    fn who_fails_is_told_with_what_it_said_last() {
        let fault = |output: &str| {
            let output = output.to_owned();
            Companion { started: true, status: Some(1), output, took: Duration::ZERO }.fault().unwrap()
        };
        assert_eq!(fault("restoring\nno memory\n\n"), "the command beside it ended with status 1: no memory");
        assert_eq!(fault(""), "the command beside it ended with status 1");
    }

    #[test]
    fn who_makes_checks_is_told_with_those_that_failed() {
        let output = "ok: one\nFAILED: two: 3 of 4\n4\nFAILED: three\nok: four\n".to_owned();
        let failed = Companion { started: true, status: Some(1), output, took: Duration::ZERO };
        let told = "the command beside it ended with status 1: FAILED: two: 3 of 4; FAILED: three";
        assert_eq!(failed.fault().unwrap(), told);
    }

    #[test]
    fn a_note_tells_status_and_time() {
        assert_eq!(status("3 10.25 12.50\n"), (Some(3), Duration::from_millis(2250)));
        assert_eq!(status(""), (None, Duration::ZERO));
    }

    #[test]
    fn a_command_waits_for_what_its_moment_is_made_of() {
        let files = Files { name: "g", consoles: "/a /b", made: "/c", end: "end it", prelude: "before\n" };
        let script = |when, ends_guest| {
            script(&Beside { when, command: "true", ends_guest }, "/s", ["", ""], &files, GRACE)
        };
        assert!(script(When::Said("ready"), false).contains("said -t 30 'ready' /a /b || exit 1"));
        assert!(script(When::Paused, false).contains("\nbefore\ntrue\n"));
        let paused = script(When::Paused, false);
        assert!(paused.contains("said -t 30 'Waiting for domain' /c") && !paused.contains("end it"));
        assert!(script(When::Paused, true).ends_with("\nend it\n"));
    }
}
