// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person sees of guests: each one's console or grid as it ends, and a table at the end.

mod files;

use std::path::Path;

use anyhow::Result;

use crate::env::Env;
use crate::figure;
use crate::grid::{self, Level, ROWS, Row};
use crate::guest::beside::{Companion, READY};
use crate::guest::{Ending, Job, Outcome};
use crate::image::symbols::Symbols;
use crate::image::{Image, lines};
use crate::lab::snapshot::tail;
use crate::project::Project;
use crate::style::Style;
use crate::verdict::Verdict;
use files::Files;

/// Lines of the hypervisor's console that are shown for a crash.
const MACHINE_LINES: usize = 60;

/// How much of a successful guest is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Its whole console.
    Console,
    /// The grid on it.
    Grid,
}

/// Collects outcomes and prints them.
#[derive(Debug)]
pub struct Report {
    detail: Detail,
    judged_by_grid: bool,
    symbols: Symbols,
    style: Style,
    lines: Vec<Line>,
}

/// A line of the table.
#[derive(Debug)]
struct Line {
    env: Env,
    levels: Option<[Level; 4]>,
    /// What it printed of them.
    rows: Option<[Row; 4]>,
    environment: String,
    console: String,
    verdict: Verdict,
    reason: String,
}

impl Report {
    /// A report on guests of one image; `judged_by_grid` = the right verdict is not enough.
    pub fn new(image: &Image, detail: Detail, judged_by_grid: bool) -> Self {
        let style = Style::of_stdout();
        Self { detail, judged_by_grid, symbols: Symbols::of_image(image), style, lines: Vec::new() }
    }

    /// Prints the heading of what is shown of a guest.
    pub fn head(&self, env: Env) {
        println!("\n{}", self.style.heading(&format!("== {} ==", env.name())));
    }

    /// Prints an outcome, and the heading in front if it was not watched.
    pub fn add(&mut self, job: &Job, outcome: &Outcome) {
        let rows = grid::parse(&outcome.console);
        let line = self.judge(job.env, outcome, rows);
        if !job.watched {
            self.head(job.env);
        }
        match (&line.rows, self.detail) {
            (Some(rows), Detail::Grid) if line.verdict == Verdict::Success => self.print_grid(&line, rows),
            _ => print!("{}", terminated(outcome.shown.rest_of(&outcome.console))),
        }
        if let Some(companion) = outcome.companion.as_ref().filter(|_| !job.watched) {
            print!("-- beside it --\n{}", terminated(&companion.output));
        }
        if line.verdict == Verdict::Crash {
            print!("{}", explanation(outcome, &self.symbols));
            let callers = lines::of_report(&job.image, &outcome.console);
            if !callers.is_empty() {
                println!("-- the backtrace's lines --\n{}", callers.join("\n"));
            }
        }
        if !line.reason.is_empty() || line.verdict != Verdict::Success {
            println!("{} {}", self.style.verdict(line.verdict, line.verdict.word()), line.reason);
        }
        self.lines.push(line);
    }

    /// Writes what came of all into files in `folder`.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn write(&self, project: &Project, folder: &Path, image: &Image) -> Result<()> {
        let picture = Files { image: [&image.name, &image.sha256()?], lines: &self.lines }.write(folder)?;
        let bitmap = folder.join("spectrum.png");
        // The report is whole without it: a machine may have no fonts.
        if let Some(Err(error)) = picture.map(|picture| figure::draw_png(project, &picture, &bitmap)) {
            eprintln!("the picture is there as SVG only: {error:#}");
        }
        println!("written to {}: report.md, report.json and more", folder.display());
        Ok(())
    }

    /// Prints the table if it has more than one line, and gives the worst verdict.
    pub fn finish(self) -> Verdict {
        if self.lines.len() > 1 {
            print!("\n{}", table(&self.lines, self.style));
        }
        self.lines.iter().map(|line| line.verdict).max().unwrap_or(Verdict::Success)
    }

    fn judge(&self, env: Env, outcome: &Outcome, rows: Option<[Row; 4]>) -> Line {
        let (verdict, reason) = judged(outcome);
        let mut line = Line {
            env,
            levels: rows
                .as_ref()
                .map(grid::levels)
                .or_else(|| grid::reported(&outcome.console))
                .map(|grid| grid.0),
            rows,
            environment: environment(&outcome.console).to_owned(),
            console: outcome.console.clone(),
            verdict,
            reason,
        };
        if self.judged_by_grid && line.verdict == Verdict::Success && line.levels != Some(env.grid().0) {
            line.verdict = Verdict::Failure;
            line.reason = match &line.rows {
                Some(rows) => format!("the grid is {}, but should be {}", grid::levels(rows), env.grid()),
                None => "no grid was printed".to_owned(),
            };
        }
        line
    }

    fn print_grid(&self, line: &Line, rows: &[Row; 4]) {
        println!("{}", line.environment);
        for (label, row) in ROWS.iter().zip(rows) {
            let letter = self.style.level(row.level, &row.level.letter().to_string());
            println!("  {label:24} {letter}  {}", row.mechanism);
        }
    }
}

/// The verdict on a run, and what has to be said about it. A server that is there at the end of its time does
/// what it should; where nobody could visit it, or the visitor failed, that is said instead of where it is.
fn judged(outcome: &Outcome) -> (Verdict, String) {
    let is_up = outcome.ending == Ending::Hang && outcome.verdict == Verdict::Crash;
    let (reason, companion) = (outcome.reason(), outcome.companion.as_ref());
    match companion.and_then(visitors_fault) {
        Some(fault) if is_up => (Verdict::Error, fault),
        Some(fault) if reason.is_empty() => (outcome.verdict.max(Verdict::Error), fault),
        Some(fault) => (outcome.verdict.max(Verdict::Error), format!("{reason}; {fault}")),
        None if is_up && companion.is_none() && outcome.console.contains(READY) => {
            (Verdict::Success, "it was ready, and served until its time limit".to_owned())
        }
        None if outcome.ending == Ending::Left && outcome.verdict == Verdict::Crash => {
            (Verdict::Success, "it ran until it was ended".to_owned())
        }
        None => (outcome.verdict, reason),
    }
}

/// What is wrong with the end of a visitor, who waits for the guest to be ready.
fn visitors_fault(visitor: &Companion) -> Option<String> {
    if visitor.started {
        return visitor.fault();
    }
    Some(format!("the guest never said ready: no line on its console has {READY:?}, so nobody visited it"))
}

/// Why there is no verdict: the end of the hypervisor's console, and the functions it names.
pub fn explanation(outcome: &Outcome, symbols: &Symbols) -> String {
    let mut text = format!("-- {} --\n", outcome.reason());
    let machine = tail(since_boot(&outcome.machine), MACHINE_LINES);
    text.push_str(&terminated(&machine));
    let functions = symbols.explain(&machine);
    if !functions.is_empty() {
        text.push_str("-- functions of the image in this --\n");
        functions.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text
}

/// What a hypervisor said since it was ready to run guests; all if it never was.
fn since_boot(machine: &str) -> &str {
    const READY: &str = " init memory\n";
    machine.rfind(READY).map_or(machine, |place| &machine[place + READY.len()..])
}

/// What a guest says about where it is.
fn environment(console: &str) -> &str {
    console.lines().rev().find_map(|line| line.trim().strip_prefix("Environment: ")).unwrap_or("")
}

/// `text`, ending with a line end unless it is empty.
fn terminated(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

fn table(lines: &[Line], style: Style) -> String {
    let has_levels = lines.iter().any(|line| line.levels.is_some());
    let mut text = String::new();
    if has_levels {
        text.push_str(&style.faint("               disk,  interrupts,  platform,  privileged,\n"));
        text.push_str(
            &style.faint("env            net    timers       boot       page tables  result   environment\n"),
        );
    } else {
        text.push_str(&style.faint("env            result   environment\n"));
    }
    for line in lines {
        text.push_str(&format!("{:14} ", line.env.name()));
        if has_levels {
            text.push_str(&level_cells(line.levels, style));
        }
        text.push_str(&style.verdict(line.verdict, &format!("{:8}", line.verdict)));
        let remark = if line.reason.is_empty() { &line.environment } else { &line.reason };
        text.push_str(format!(" {}", remark.lines().next().unwrap_or("")).trim_end());
        text.push('\n');
    }
    if has_levels {
        text.push_str(&style.faint("S software-emulated  H hardware  P paravirtualized  - absent\n"));
    }
    text
}

/// Widths of the four columns of letters.
const WIDTHS: [usize; 4] = [7, 13, 11, 13];

fn level_cells(levels: Option<[Level; 4]>, style: Style) -> String {
    let cell = |index: usize, width: &usize| {
        let level = levels.map_or(Level::Absent, |levels| levels[index]);
        let letter = levels.map_or(' ', |_| level.letter());
        style.level(level, &format!("{letter:width$}"))
    };
    WIDTHS.iter().enumerate().map(|(index, width)| cell(index, width)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(env: Env, levels: Option<[Level; 4]>) -> Line {
        Line {
            env,
            levels,
            rows: None,
            environment: "E".to_owned(),
            console: String::new(),
            verdict: Verdict::Success,
            reason: String::new(),
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_environment() {
        let text = table(&[line(Env::Pv, Some(Env::Pv.grid().0)), line(Env::Fv, None)], Style::plain());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "pv             P      P            P          P            SUCCESS  E");
        assert_eq!(lines[3], "fv                                                         SUCCESS  E");
    }

    #[test]
    fn a_table_without_grids_has_no_columns_for_them() {
        let text = table(&[line(Env::Pv, None)], Style::plain());
        assert_eq!(text, "env            result   environment\npv             SUCCESS  E\n");
    }

    fn visited(ending: Ending, console: &str, visitor: Option<(bool, Option<i32>)>) -> (Verdict, String) {
        let guest = Outcome::new(ending, console.to_owned(), "RIP: 0000000000100040\n".to_owned());
        let companion =
            |(started, status)| Companion { started, status, output: String::new(), took: Duration::ZERO };
        judged(&guest.beside(visitor.map(companion)))
    }

    #[test]
    fn a_run_fails_if_its_visitor_did() {
        let visit = |status| visited(Ending::Poweroff, "Test result: SUCCESS\n", Some((true, status)));
        assert_eq!(visit(Some(0)), (Verdict::Success, String::new()));
        assert_eq!(visit(Some(7)), (Verdict::Error, "the command beside it ended with status 7".to_owned()));
        assert_eq!(visit(None), (Verdict::Error, "the command beside it did not end".to_owned()));
    }

    #[test]
    fn a_visitor_that_hangs_is_no_crash_of_its_server() {
        let (verdict, reason) = visited(Ending::Hang, "shop: ready on port 80\n", Some((true, None)));
        assert_eq!((verdict, reason.as_str()), (Verdict::Error, "the command beside it did not end"));
    }

    #[test]
    fn a_guest_that_nobody_could_visit_never_said_ready() {
        let never = |ending, console| visited(ending, console, Some((false, None)));
        let (verdict, reason) = never(Ending::Hang, "shop: waiting\n");
        assert_eq!(verdict, Verdict::Error);
        assert!(reason.starts_with("the guest never said ready"), "{reason}");
        let (verdict, reason) = never(Ending::Poweroff, "Test result: SUCCESS\n");
        assert!(verdict == Verdict::Error && reason.starts_with("the guest never said ready"), "{reason}");
        let (verdict, reason) = never(Ending::Crash, "--- Prism crashed ---\n");
        assert!(verdict == Verdict::Crash && reason.starts_with("crashed; the guest never said"), "{reason}");
    }

    #[test]
    fn a_server_that_serves_until_its_time_is_over_has_not_crashed() {
        assert_eq!(visited(Ending::Hang, "shop: ready on port 80\n", None).0, Verdict::Success);
        assert_eq!(visited(Ending::Hang, "shop: no address\n", None).0, Verdict::Crash);
        assert_eq!(visited(Ending::Crash, "shop: ready on port 80\n", None).0, Verdict::Crash);
        // It was asked to end, and did not.
        assert_eq!(visited(Ending::Hang, "shop: ready\n", Some((true, Some(0)))).0, Verdict::Crash);
    }

    #[test]
    fn a_guest_that_its_person_ended_has_not_crashed() {
        assert_eq!(visited(Ending::Left, "shop: ready\n", None).0, Verdict::Success);
        assert_eq!(visited(Ending::Left, "Test result: FAILURE\n", None).0, Verdict::Failure);
    }

    #[test]
    fn a_hypervisors_own_boot_explains_no_crash() {
        assert_eq!(since_boot("(XEN) a\n(XEN) Freed 656kB init memory\n(XEN) b\n"), "(XEN) b\n");
        assert_eq!(since_boot("(XEN) Panic\n"), "(XEN) Panic\n");
    }

    #[test]
    fn the_environment_is_the_guests_own_word() {
        assert_eq!(environment("--- x ---\r\nEnvironment: PVH on Xen\r\n"), "PVH on Xen");
    }
}
