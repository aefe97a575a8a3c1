// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verdicts, in the protocol of the Xen Test Framework: the last line `Test result: WORD` of a
//! guest's console counts, and silence is a crash.

use std::fmt;

/// How a guest judged itself, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All went well.
    Success,
    /// The test does not apply to this environment.
    Skip,
    /// The test could not do its work.
    Error,
    /// The tested thing is wrong.
    Failure,
    /// No verdict was given.
    Crash,
}

impl Verdict {
    /// The verdict on a console: its last line that starts with `Test result: `.
    pub fn of_console(console: &str) -> Self {
        match console.lines().rev().find_map(|line| line.trim().strip_prefix("Test result: ")) {
            Some("SUCCESS") => Self::Success,
            Some("SKIP") => Self::Skip,
            Some("ERROR") => Self::Error,
            Some("FAILURE") => Self::Failure,
            _ => Self::Crash,
        }
    }

    /// The exit status of the runner for this verdict.
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Skip => 3,
            Self::Error => 4,
            Self::Failure => 5,
            Self::Crash => 6,
        }
    }

    /// The word for this verdict.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Skip => "SKIP",
            Self::Error => "ERROR",
            Self::Failure => "FAILURE",
            Self::Crash => "CRASH",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_verdict_counts_and_carriage_returns_do_not() {
        let console = "--- title ---\r\nTest result: SUCCESS\r\nTest result: FAILURE\r\n";
        assert_eq!(Verdict::of_console(console), Verdict::Failure);
    }

    #[test]
    fn silence_is_a_crash() {
        assert_eq!(Verdict::of_console("hello\n"), Verdict::Crash);
        assert_eq!(Verdict::of_console(""), Verdict::Crash);
    }

    #[test]
    fn an_unknown_word_is_a_crash() {
        assert_eq!(Verdict::of_console("Test result: PERHAPS\n"), Verdict::Crash);
    }

    #[test]
    fn a_verdict_in_the_middle_of_a_line_is_not_one() {
        assert_eq!(Verdict::of_console("the Test result: SUCCESS\n"), Verdict::Crash);
    }

    #[test]
    fn the_worst_verdict_is_the_greatest() {
        let all = [Verdict::Skip, Verdict::Crash, Verdict::Success];
        assert_eq!(all.into_iter().max(), Some(Verdict::Crash));
    }
}
