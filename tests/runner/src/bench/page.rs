// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results for people to read.

use anyhow::{Context, Result};

use super::Comparison;

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
