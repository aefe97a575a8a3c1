// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came of guests as files: for people, for programs, and as a picture.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Line;
use crate::figure::{self, Cell};
use crate::grid::{Level, ROWS};

/// The picture's name.
const PICTURE: &str = "spectrum.svg";

/// What a folder's files tell of.
pub(super) struct Files<'a> {
    /// The image's name, and the SHA-256 of it.
    pub image: [&'a str; 2],
    /// A line for each guest.
    pub lines: &'a [Line],
}

impl Files<'_> {
    /// Writes all of them, and gives the path of the picture, if there is one.
    ///
    /// # Errors
    /// If one cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<Option<PathBuf>> {
        let put = |name: &str, content: &str| {
            let file = folder.join(name);
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))
        };
        for line in self.lines {
            put(&format!("{}.txt", line.env.name()), &line.console)?;
        }
        let picture = self.picture();
        if let Some(picture) = &picture {
            put(PICTURE, picture)?;
        }
        put("report.md", &self.markdown(picture.is_some()))?;
        put("report.json", &format!("{:#}\n", self.json()))?;
        Ok(picture.map(|_| folder.join(PICTURE)))
    }

    fn json(&self) -> Value {
        let guests: Vec<Value> = self.lines.iter().map(guest).collect();
        json!({ "image": self.image[0], "sha256": self.image[1], "guests": guests })
    }

    fn markdown(&self, has_picture: bool) -> String {
        let [name, sum] = self.image;
        let mut text = format!("# {name}\n\nImage: SHA-256 `{sum}`\n\n");
        if has_picture {
            text.push_str("![The paravirtualization spectrum](spectrum.svg)\n\n");
        }
        text.push_str(&format!("| env | verdict | {} | environment | remark |\n", ROWS.join(" | ")));
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for line in self.lines {
            let levels = line.levels.map(|levels| levels.map(|level| level.letter().to_string()));
            let levels = levels.unwrap_or_default().join(" | ");
            let remark = line.reason.lines().next().unwrap_or_default().replace('|', "\\|");
            text.push_str(&format!(
                "| [{0}]({0}.txt) | {1} | {levels} | {2} | {remark} |\n",
                line.env.name(),
                line.verdict,
                line.environment
            ));
        }
        text
    }

    /// The picture of those that printed their grid, if any did.
    fn picture(&self) -> Option<String> {
        let rows: Vec<figure::Row> = self.lines.iter().filter_map(row).collect();
        (!rows.is_empty()).then(|| figure::svg("The paravirtualization spectrum", "and its verdict", rows))
    }
}

fn guest(line: &Line) -> Value {
    let level = |level: Level| level.letter().to_string();
    let grid = line.levels.map(|levels| {
        let mechanisms = line.rows.as_ref().map(|rows| rows.each_ref().map(|row| row.mechanism.as_str()));
        let groups = ROWS.iter().zip(levels).enumerate().map(|(index, (group, found))| {
            json!({ "group": group, "level": level(found), "mechanism": mechanisms.map(|all| all[index]) })
        });
        groups.collect::<Vec<Value>>()
    });
    json!({
        "env": line.env.name(),
        "verdict": line.verdict.word(),
        "remark": line.reason,
        "environment": line.environment,
        "console": format!("{}.txt", line.env.name()),
        "grid": grid,
    })
}

fn row(line: &Line) -> Option<figure::Row> {
    let rows = line.rows.as_ref()?;
    let cells = rows
        .each_ref()
        .map(|row| Cell { level: row.level, lines: row.mechanism.split("; ").map(str::to_owned).collect() });
    Some(figure::Row { env: line.env, note: line.verdict.word().to_owned(), cells })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::grid::Row;
    use crate::scratch::Scratch;
    use crate::verdict::Verdict;

    fn line(env: Env, rows: Option<[Row; 4]>) -> Line {
        Line {
            env,
            levels: Some(env.grid().0),
            rows,
            environment: "E".to_owned(),
            console: "said\n".to_owned(),
            verdict: Verdict::Success,
            reason: "a | b".to_owned(),
        }
    }

    #[test]
    fn people_and_programs_read_the_same() {
        let scratch = Scratch::new().unwrap();
        let rows = Env::Pv.grid().0.map(|level| Row { level, mechanism: "this; that".to_owned() });
        let lines = [line(Env::Pv, Some(rows)), line(Env::Fv, None)];
        let picture = Files { image: ["hello", "abc"], lines: &lines }.write(scratch.path()).unwrap();
        assert_eq!(picture, Some(scratch.path().join("spectrum.svg")));
        let read = |name: &str| fs::read_to_string(scratch.path().join(name)).unwrap();
        let told: Value = serde_json::from_str(&read("report.json")).unwrap();
        assert_eq!((&told["sha256"], &told["guests"][0]["verdict"]), (&json!("abc"), &json!("SUCCESS")));
        let cell = &told["guests"][0]["grid"][3];
        assert_eq!((&cell["level"], &cell["mechanism"]), (&json!("P"), &json!("this; that")));
        assert_eq!(told["guests"][1]["grid"][0]["mechanism"], Value::Null);
        assert!(read("report.md").contains("| [pv](pv.txt) | SUCCESS | P | P | P | P | E | a \\| b |\n"));
        assert_eq!(read("fv.txt"), "said\n");
        assert_eq!(read("spectrum.svg").matches(">that<").count(), 4);
    }

    #[test]
    fn there_is_no_picture_where_nobody_printed_a_grid() {
        assert_eq!(Files { image: ["hello", "abc"], lines: &[line(Env::Pv, None)] }.picture(), None);
    }
}
