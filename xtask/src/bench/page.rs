// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results for people to read.

use std::fs;

use anyhow::{Context, Result};

use super::Comparison;
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
            lines.push(format!(
                "| {} | {name} | {:.2} | {:.2} | {a:.2} | {b:.2} | {c:.2} | {d:.2} |",
                comparison.env.name(),
                result.speed,
                result.cpu
            ));
        }
    }
    lines.join("\n") + "\n"
}

/// Writes a benchmark's table into its place in `docs/benchmarks.md`, and its picture beside that.
///
/// # Errors
/// If the page has no place for it, or a file cannot be written.
pub(super) fn publish(project: &Project, name: &str, table: &str, picture: &str) -> Result<()> {
    let docs = project.root().join("docs");
    let (text, drawing) = (docs.join("benchmarks.md"), docs.join(format!("{name}.svg")));
    let old = fs::read_to_string(&text).with_context(|| format!("cannot read {}", text.display()))?;
    let new = with_table(&old, name, table)?;
    fs::write(&text, new).with_context(|| format!("cannot write {}", text.display()))?;
    fs::write(&drawing, picture).with_context(|| format!("cannot write {}", drawing.display()))?;
    println!("written to docs/benchmarks.md and docs/{name}.svg");
    Ok(())
}

/// The page `page` with this table in the place that it has for the benchmark `name`.
pub(super) fn with_table(page: &str, name: &str, table: &str) -> Result<String> {
    let begin = format!("<!-- scripts/bench {name} -->\n");
    let place = page.split_once(&begin).and_then(|(above, rest)| {
        let (_, below) = rest.split_once("<!-- end -->")?;
        Some((above, below))
    });
    let (above, below) = place.with_context(|| format!("the page has no place for {begin}"))?;
    Ok(format!("{above}{begin}\n{table}\n<!-- end -->{below}"))
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
