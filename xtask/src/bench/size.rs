// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is in an image, by bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use anyhow::{Context, Result};

use super::page;
use crate::cli::Bench;
use crate::image::elf::{Elf, Segment};
use crate::image::symbols::Symbols;
use crate::image::{Image, build};
use crate::project::Project;

/// The images: the smallest, and a server with disks, file systems and a network.
pub(super) const IMAGES: [&str; 2] = ["hello", "httpd"];

/// The benchmark's name.
pub(super) const NAME: &str = "size";

/// The row of the whole file.
const WHOLE: &str = "the file";

/// A crate has a row of its own if it is such a part of an image's code, in hundredths.
const WORTH: u64 = 2;

/// What the parts of an image are called, and how many bytes they have, in the order in which they are told.
type Parts = Vec<(String, u64)>;

/// Prints the table, or writes it into `docs/`.
///
/// # Errors
/// If an image cannot be built or read.
pub(super) fn run(project: &Project, options: &Bench) -> Result<u8> {
    let table = table(&measure(project)?);
    println!("{table}");
    if options.is_whole() {
        page::write(project, NAME, &table)?;
    }
    Ok(0)
}

/// What is wrong with the images now: sizes that are greater than those of the table, by more than a band, in
/// hundredths.
///
/// # Errors
/// If an image cannot be built, or the documents have no size of it.
pub(super) fn worse(project: &Project, band: u64) -> Result<Vec<String>> {
    let committed = whole(&page::table_of(project, NAME)?).context("the documents have no sizes")?;
    let mut found = Vec::new();
    for (name, before) in IMAGES.into_iter().zip(committed) {
        let image = build::build_by_name(project, name)?;
        let now = fs::metadata(&image.file).context("an image is gone")?.len();
        println!("{name}: {now} bytes, {before} in the documents");
        if now * 100 > before * (100 + band) {
            found.push(format!("{name} has {now} bytes, {before} in the documents"));
        }
    }
    Ok(found)
}

/// The sizes of the files, by a table.
fn whole(table: &str) -> Option<[u64; IMAGES.len()]> {
    let line = table.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(WHOLE))?;
    let sizes = line.trim_matches(['|', ' ']).split('|').map(|cell| cell.trim().parse::<u64>().ok());
    sizes.collect::<Option<Vec<u64>>>()?.try_into().ok()
}

fn measure(project: &Project) -> Result<[Parts; IMAGES.len()]> {
    let mut all: [Parts; IMAGES.len()] = Default::default();
    for (parts, name) in all.iter_mut().zip(IMAGES) {
        *parts = parts_of(&build::build_by_name(project, name)?)?;
    }
    Ok(all)
}

fn parts_of(image: &Image) -> Result<Parts> {
    let bytes = fs::read(&image.file).with_context(|| format!("cannot read {}", image.file.display()))?;
    let loads: Vec<Segment> = Elf::parse(&bytes)?.segments().into_iter().filter(Segment::is_load).collect();
    let of = |is_meant: fn(&Segment) -> bool| -> u64 {
        loads.iter().filter(|segment| is_meant(segment)).map(|segment| segment.file_size).sum()
    };
    let table = loads.last().context("nothing is loaded")?.file_size;
    let code = of(Segment::is_executable);
    let variables = of(Segment::is_writable);
    let constants = of(|segment| !segment.is_executable() && !segment.is_writable()) - table;
    let rest = bytes.len() as u64 - code - variables - constants - table;
    let mut parts: Parts = vec![
        (WHOLE.to_owned(), bytes.len() as u64),
        ("constants".to_owned(), constants),
        ("variables that are not zero at first".to_owned(), variables),
        ("names for crash reports".to_owned(), table),
        ("headers, and up to the next page".to_owned(), rest),
        ("code".to_owned(), code),
    ];
    parts.extend(crates(&Symbols::of_image(image)));
    Ok(parts)
}

/// The code of each crate.
fn crates(symbols: &Symbols) -> Parts {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for (name, size) in symbols.sizes() {
        *sizes.entry(format!("code of `{}`", crate_of(name))).or_default() += size;
    }
    sizes.into_iter().collect()
}

/// The crate that a function is told to be of: a generic one is of the crate that wrote it.
fn crate_of(name: &str) -> &str {
    let bare = name.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    let bare = ["dyn ", "mut ", "impl "].iter().find_map(|word| bare.strip_prefix(word)).unwrap_or(bare);
    let word =
        bare.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
    if bare[word.len()..].starts_with("::") {
        return word;
    }
    // A type of no crate, or a parameter: of the trait's crate.
    name.split_once(" as ").map_or("no_mangle", |(_, name)| crate_of(name))
}

/// A row for each part that is worth it, what has no row at the end.
fn table(images: &[Parts; IMAGES.len()]) -> String {
    let is_crate = |name: &str| name.starts_with("code of ");
    let known: [HashMap<&str, u64>; IMAGES.len()] =
        images.each_ref().map(|parts| parts.iter().map(|(name, size)| (name.as_str(), *size)).collect());
    let sizes = |name: &str| known.each_ref().map(|sizes| sizes.get(name).copied().unwrap_or(0));
    let code = sizes("code");
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in images.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let is_worth = |name: &&str| {
        !is_crate(name) || sizes(name).iter().zip(code).any(|(size, code)| size * 100 >= code * WORTH)
    };
    let (mut shown, left): (Vec<&str>, Vec<&str>) = names.into_iter().partition(is_worth);
    let first = shown.iter().position(|name| is_crate(name)).unwrap_or(shown.len());
    shown[first..].sort_by_key(|name| u64::MAX - sizes(name).iter().sum::<u64>());
    let row = |name: &str, sizes: [u64; IMAGES.len()]| {
        format!("| {name} | {} |\n", sizes.map(|size| size.to_string()).join(" | "))
    };
    let mut text = format!(
        "| bytes of | {} |\n|---{}|\n",
        IMAGES.map(|name| format!("`{name}`")).join(" | "),
        "|---:".repeat(IMAGES.len())
    );
    shown.iter().for_each(|name| text += &row(name, sizes(name)));
    let left = left.iter().map(|name| sizes(name)).reduce(|sum, sizes| {
        let mut sum = sum;
        sum.iter_mut().zip(sizes).for_each(|(sum, size)| *sum += size);
        sum
    });
    text + &row("code of others", left.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_of_the_crate_that_wrote_it() {
        for (name, expected) in [
            ("prism::boot::start", "prism"),
            ("<prism_arch::pv::Pv as prism_arch::machine::Machine>::suspend", "prism_arch"),
            ("<&T as core::fmt::Display>::fmt", "core"),
            ("<[V] as alloc::slice::Concat<T>>::concat", "alloc"),
            ("core::ptr::drop_in_place<xen::Watch>", "core"),
            ("<dyn prism_drivers::virtio::Transport>::queue", "prism_drivers"),
            ("memcpy", "no_mangle"),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_table_tells_of_files_and_of_crates_that_are_worth_it() {
        let parts = |file: u64, a: u64, b: u64| -> Parts {
            [(WHOLE, file), ("code", 1000), ("code of `a`", a), ("code of `b`", b), ("code of `c`", 1)]
                .map(|(name, size)| (name.to_owned(), size))
                .to_vec()
        };
        let table = table(&[parts(5000, 30, 40), parts(70_000, 1, 900)]);
        assert_eq!(whole(&table), Some([5000, 70_000]));
        let rows: Vec<&str> = table.lines().skip(4).collect();
        assert_eq!(
            rows,
            ["| code of `b` | 40 | 900 |", "| code of `a` | 30 | 1 |", "| code of others | 1 | 1 |"]
        );
        assert_eq!(whole("| the file | 7 |\n"), None);
    }
}
