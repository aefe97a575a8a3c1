// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results for people to read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Comparison, Pair};
use crate::figure;
use crate::project::Project;

/// The table.
pub(super) fn table(comparisons: &[Comparison]) -> String {
    let mut lines = vec![
        "| environment | what (and its unit) | speed | guest CPU | entries, Prism | Linux | notifications, \
         Prism | Linux |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for comparison in comparisons {
        for (name, result) in comparison.results() {
            let ([a, b], [c, d]) = (result.entries, result.notifications);
            let mark = if result.is_quiet { "" } else { "?" };
            lines.push(format!(
                "| {} | {name} | {:.2}{mark} | {:.2}{mark} | {a:.2} | {b:.2} | {c:.2} | {d:.2} |",
                comparison.env.name(),
                result.speed,
                result.cpu
            ));
        }
    }
    lines.join("\n") + "\n" + &disturbed(comparisons)
}

/// What is to be said below a table whose times mean nothing.
fn disturbed(comparisons: &[Comparison]) -> String {
    let busy = comparisons.iter().filter(|comparison| !comparison.pairs.iter().any(Pair::is_quiet));
    let least = |comparison: &Comparison| {
        comparison.pairs.iter().map(|pair| pair.in_vain).min_by(f64::total_cmp).unwrap_or_default()
    };
    busy.map(|comparison| {
        format!(
            "\n?: in {}, others had the processors for {:.0} % of the time in which the lab machine wanted \
             them: its times mean little.\n",
            comparison.env.name(),
            100.0 * least(comparison)
        )
    })
    .collect()
}

/// Writes a benchmark's table into its place in `docs/benchmarks.md`, and its picture beside that.
///
/// # Errors
/// If the page has no place for it, or a file cannot be written.
pub(super) fn publish(project: &Project, name: &str, table: &str, picture: &str) -> Result<()> {
    write(project, name, table)?;
    draw(project, name, picture)
}

/// Writes a benchmark's table into its place in `docs/benchmarks.md`.
///
/// # Errors
/// If the page has no place for it, or cannot be written.
pub(super) fn write(project: &Project, name: &str, table: &str) -> Result<()> {
    let text = path(project);
    fs::write(&text, with_table(&read(&text)?, name, table)?)
        .with_context(|| format!("cannot write {}", text.display()))?;
    println!("written to docs/benchmarks.md");
    Ok(())
}

/// Writes a benchmark's picture, and the same as PNG, which is no source, into the folder of what is built.
///
/// # Errors
/// If it cannot be written, or there is no font to write with.
pub(super) fn draw(project: &Project, name: &str, picture: &str) -> Result<()> {
    let drawing = project.root().join("docs").join(format!("{name}.svg"));
    fs::write(&drawing, picture).with_context(|| format!("cannot write {}", drawing.display()))?;
    println!("drawn: docs/{name}.svg");
    let bitmap = project.root().join("target").join(format!("{name}.png"));
    figure::draw_png(project, &drawing, &bitmap)?;
    println!("drawn: {}", bitmap.display());
    Ok(())
}

/// The table of a benchmark that the page has.
///
/// # Errors
/// If it has none.
pub(super) fn table_of(project: &Project, name: &str) -> Result<String> {
    let page = read(&path(project))?;
    let (_, table, _) = parts(&page, name)?;
    Ok(table.trim_start().to_owned())
}

fn path(project: &Project) -> PathBuf {
    project.root().join("docs/benchmarks.md")
}

fn read(text: &Path) -> Result<String> {
    fs::read_to_string(text).with_context(|| format!("cannot read {}", text.display()))
}

/// The page `page` with this table in the place that it has for the benchmark `name`.
pub(super) fn with_table(page: &str, name: &str, table: &str) -> Result<String> {
    let (above, _, below) = parts(page, name)?;
    Ok(format!("{above}{}\n{table}\n{END}{below}", begin(name)))
}

/// What ends the place of a table.
const END: &str = "<!-- end -->";

/// What begins the place of a benchmark's table.
fn begin(name: &str) -> String {
    format!("<!-- scripts/bench {name} -->\n")
}

/// What is above the table of a benchmark, the table, and what is below it.
fn parts<'a>(page: &'a str, name: &str) -> Result<(&'a str, &'a str, &'a str)> {
    let place = page.split_once(&begin(name)).and_then(|(above, rest)| {
        let (table, below) = rest.split_once(END)?;
        Some((above, table, below))
    });
    place.with_context(|| format!("the page has no place for the table of scripts/bench {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_former_one() {
        let page =
            "a\n<!-- scripts/bench blk -->\nold\n<!-- end -->\nb\n<!-- scripts/bench net -->\n<!-- end -->\n";
        let new = with_table(page, "blk", "new\n").unwrap();
        assert!(new.starts_with("a\n<!-- scripts/bench blk -->\n\nnew\n\n<!-- end -->\nb\n"), "{new}");
        assert_eq!(with_table(&new, "blk", "new\n").unwrap(), new);
        assert!(with_table("a page", "blk", "new\n").is_err());
    }
}
