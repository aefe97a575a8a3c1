// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the sources promise of themselves: lists in documents are whole, and comments fit on a screen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::project::Project;

/// Characters of a line of a document at most, but for tables.
const DOCUMENT_WIDTH: usize = 125;

/// The crates whose README has a table of all their modules.
const CRATES: [&str; 7] =
    ["arch", "drivers", "kernel", "libs/fs", "libs/redb/backend", "libs/servers", "xen"];

pub(super) fn root() -> PathBuf {
    Project::find().unwrap().root().to_owned()
}

pub(super) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The files below `folder` whose names end so, by their paths in it, without what cargo built.
pub(super) fn files(folder: &Path, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.is_file() && name.ends_with(end) {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// What stands between backticks in the first cells of a document's tables.
fn listed(document: &str) -> BTreeSet<&str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// The lines that are too long, but for rows of tables and what has no blank to be parted at.
fn too_long(path: &str, lines: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let lines = (1..).zip(lines).filter(|(_, line)| {
        let words = line.trim_start().trim_start_matches(['/', '!']).trim_start();
        line.chars().count() > width && !words.starts_with('|') && words.contains(' ')
    });
    lines.map(|(number, line)| format!("{path}:{number}: {line}")).collect()
}

#[test]
fn the_files_with_unsafe_code_are_those_that_are_listed() {
    let document = text("docs/architecture.md");
    let section = document.split("\n## ").find(|section| section.starts_with("Unsafe code\n")).unwrap();
    let folder = root().join("kernel/src");
    let has_any = |file: &String| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let mut code = text.lines().filter(|line| !is_comment(line));
        code.any(|line| {
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == "unsafe")
        })
    };
    let found: Vec<String> = files(&folder, ".rs").into_iter().filter(has_any).collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed(section));
}

#[test]
fn every_module_stands_in_its_crates_readme() {
    for name in CRATES {
        let (readme, code) = (text(&format!("{name}/README.md")), text(&format!("{name}/src/lib.rs")));
        let listed = listed(&readme);
        let modules = code.lines().filter_map(|line| {
            let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        });
        for module in modules {
            let is_listed = listed.iter().any(|word| word.trim_end_matches('/') == module);
            assert!(is_listed, "{name}/README.md does not tell of the module {module}");
        }
    }
}

#[test]
fn every_fuzz_target_stands_in_their_readme() {
    let readme = text("fuzz/README.md");
    let targets: Vec<String> = files(&root().join("fuzz/targets"), ".rs");
    let targets: BTreeSet<&str> = targets.iter().filter_map(|file| file.strip_suffix(".rs")).collect();
    assert_eq!(targets, listed(&readme));
}

#[test]
fn comments_are_no_longer_than_code_may_be() {
    let format = text("rustfmt.toml");
    let width = format.lines().find_map(|line| line.strip_prefix("max_width = ")?.parse().ok()).unwrap();
    let root = root();
    let long = files(&root, ".rs").into_iter().flat_map(|file| {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        let lines = text.lines().map(|line| if is_comment(line) { line.to_owned() } else { String::new() });
        too_long(&file, lines, width)
    });
    assert_eq!(long.collect::<Vec<_>>().join("\n"), "");
}

/// The documents that tell where something is, by their paths from the project's root.
fn documents() -> Vec<String> {
    let in_docs = files(&root().join("docs"), ".md").into_iter().map(|file| format!("docs/{file}"));
    let told = in_docs.filter(|file| !file.starts_with("docs/adr/"));
    told.chain(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned)).collect()
}

#[test]
fn files_that_documents_name_exist() {
    let top: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let is_path = |word: &&str| {
        let folder = word.split_once('/').map(|(folder, _)| folder);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        folder.is_some_and(|folder| folder != "target" && top.iter().any(|name| name == folder))
            && word.bytes().all(plain)
    };
    for document in documents() {
        let text = text(&document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            assert!(folder.join(link).exists(), "{document} has a link to {link}, which does not exist");
        }
        for path in text.split('`').skip(1).step_by(2).filter(is_path) {
            assert!(root().join(path).exists(), "{document} tells of {path}, which does not exist");
        }
    }
}

#[test]
fn documents_are_wrapped() {
    let folder = root().join("docs");
    let long = files(&folder, ".md").into_iter().flat_map(|file| {
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        too_long(&file, text.lines().map(str::to_owned), DOCUMENT_WIDTH)
    });
    assert_eq!(long.collect::<Vec<_>>().join("\n"), "");
}
