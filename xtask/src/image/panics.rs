// SPDX-License-Identifier: MIT OR Apache-2.0
//! The panics that are left in a linked image, and where in the source they come from. What the optimizer has
//! proved to be impossible is not there any more; what is left can be reached, or it does not know better.
//!
//! A call to a panic belongs to the innermost line that is not the standard library's, among those that were
//! inlined there. A function of the library's that was not inlined (`Vec::grow_one`) stands for its callers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::disassembly::direct_calls;
use super::symbols::Symbols;

/// What is wrong when such a panic is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An index or a range outside of a slice or text.
    Index,
    /// `unwrap` or `expect` of nothing, by us or within a function of the library's.
    Unwrap,
    /// A division by zero.
    Division,
    /// A `RefCell` that is borrowed.
    Borrow,
    /// `panic!` or `assert!`, by us or within a function of the library's.
    Assertion,
    /// No memory, where an allocation cannot fail.
    Memory,
    /// A collection, an order or a search of the library's that is not what it must be.
    Collection,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Index,
        Self::Unwrap,
        Self::Division,
        Self::Borrow,
        Self::Assertion,
        Self::Memory,
        Self::Collection,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Unwrap => "unwrap",
            Self::Division => "division",
            Self::Borrow => "borrow",
            Self::Assertion => "assertion",
            Self::Memory => "memory",
            Self::Collection => "collection",
        }
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a function of the standard library's panics of, if that is all it does.
    fn of_function(name: &str) -> Option<Option<Self>> {
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let begins = |parts: &[&str]| parts.iter().any(|part| name.starts_with(part));
        // A future that is polled after its end: neither executors nor `await` do that.
        if name.starts_with("core::panicking::panic_const::panic_const_async") {
            return Some(None);
        }
        let kind = match () {
            () if begins(&["alloc::alloc::handle_alloc_error", "alloc::raw_vec::handle_error"])
                || has(&["capacity_overflow"]) =>
            {
                Self::Memory
            }
            () if begins(&[
                "core::slice::index::slice_",
                "core::str::slice_error_fail",
                "core::panicking::panic_bounds_check",
            ]) || begins(&["<alloc::vec::Vec<"]) && name.ends_with("::assert_failed") =>
            {
                Self::Index
            }
            () if begins(&["core::option::", "core::result::"])
                && has(&["unwrap_failed", "expect_failed"]) =>
            {
                Self::Unwrap
            }
            () if begins(&["core::cell::panic_already"]) => Self::Borrow,
            () if begins(&["core::panicking::panic_const::"]) => Self::Division,
            () if begins(&["core::panicking::"]) || has(&["copy_from_slice_impl::len_mismatch_fail"]) => {
                Self::Assertion
            }
            () => return None,
        };
        Some(Some(kind))
    }

    /// Whether a function of the library's that is not inlined has its callers blamed.
    const fn is_the_callers(self) -> bool {
        matches!(self, Self::Index | Self::Memory)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is blamed for a panic, and which lines those are: a file of the project's, by its path; a crate that
/// it depends on; or `std`. Who cannot allocate, or uses a collection, is a folder of the project's: almost
/// every file does.
pub type Panics = BTreeMap<(String, Kind), BTreeSet<String>>;

/// The panics in an image with symbols and lines, which was built from the sources in `root`.
///
/// # Errors
/// If it cannot be disassembled, or has neither.
pub fn of_image(debug: &Path, root: &Path) -> Result<Panics> {
    let symbols = Symbols::of_file(debug)?;
    let ends: BTreeMap<u64, Option<Kind>> =
        symbols.functions().filter_map(|(address, name)| Some((address, Kind::of_function(name)?))).collect();
    ensure!(ends.len() > 3, "{} has no panics at all: was it built with symbols?", debug.display());
    let calls = direct_calls(debug)?;
    let mut callers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (from, to) in &calls {
        // A jump within a function is no call.
        if symbols.start(*from) != symbols.start(*to) || ends.contains_key(to) {
            callers.entry(*to).or_default().push(*from);
        }
    }
    let callers_of = |function: u64| callers.get(&function).cloned().unwrap_or_default();
    let mut found = Panics::new();
    let mut seen = BTreeSet::new();
    let mut next: Vec<(u64, Kind)> = ends
        .iter()
        .filter_map(|(address, kind)| Some((*address, (*kind)?)))
        .flat_map(|(address, kind)| callers_of(address).into_iter().map(move |from| (from, kind)))
        // One panic calls another.
        .filter(|(from, _)| !symbols.start(*from).is_some_and(|start| ends.contains_key(&start)))
        .collect();
    while !next.is_empty() {
        next.retain(|site| seen.insert(*site));
        let places = places(debug, next.iter().map(|(address, _)| *address))?;
        let mut outer = Vec::new();
        for ((address, kind), frames) in next.into_iter().zip(places) {
            let kind = if frames.iter().take_while(|frame| is_std(frame)).any(|frame| is_collection(frame)) {
                Kind::Collection
            } else {
                kind
            };
            let start = symbols.start(address).unwrap_or_default();
            if let Some(frame) = frames.iter().find(|frame| !is_std(frame)) {
                let (place, line) = place(frame, root);
                found.entry((blamed(&place, kind), kind)).or_default().insert(line);
            } else if kind.is_the_callers() && !callers_of(start).is_empty() {
                outer.extend(callers_of(start).into_iter().map(|from| (from, kind)));
            } else {
                found
                    .entry(("std".to_owned(), kind))
                    .or_default()
                    .insert(symbols.name(address).unwrap_or_default());
            }
        }
        next = outer;
    }
    Ok(found)
}

/// Where these instructions come from: the innermost line first.
fn places(debug: &Path, addresses: impl Iterator<Item = u64>) -> Result<Vec<Vec<String>>> {
    let mut all = Vec::new();
    let addresses: Vec<String> = addresses.map(|address| format!("{address:#x}")).collect();
    // As many as the command line has room for.
    for some in addresses.chunks(4096) {
        let output = Command::new("addr2line")
            .args(["--addresses", "--inlines", "--exe"])
            .arg(debug)
            .args(some)
            .stdin(Stdio::null())
            .output()
            .context("cannot run addr2line")?;
        let mut places: Vec<Vec<String>> = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match places.last_mut() {
                _ if line.starts_with("0x") => places.push(Vec::new()),
                Some(frames) => frames.push(line.split(" (discriminator").next().unwrap_or(line).to_owned()),
                None => {}
            }
        }
        ensure!(places.len() == some.len(), "addr2line does not understand {}", debug.display());
        all.append(&mut places);
    }
    Ok(all)
}

fn is_std(frame: &str) -> bool {
    frame.starts_with("??") || frame.contains("/library/") || frame.starts_with("/rustc/")
}

fn is_collection(frame: &str) -> bool {
    ["/alloc/src/collections/", "/core/src/slice/sort/", "/core/src/str/pattern.rs"]
        .into_iter()
        .any(|inside| frame.contains(inside))
}

/// The file of a line, by its path in the project or the name of its crate; and the line as text.
fn place(frame: &str, root: &Path) -> (String, String) {
    let file = frame.rsplit_once(':').map_or(frame, |(file, _)| file);
    if let Ok(file) = Path::new(file).strip_prefix(root) {
        let line = frame.rsplit_once(':').map_or("", |(_, line)| line);
        let file = file.to_string_lossy().into_owned();
        let text = format!("{file}:{line}");
        return (file, text);
    }
    let package = file.split_once("/registry/src/").and_then(|(_, rest)| rest.split('/').nth(1));
    let name = package.and_then(|package| package.rsplit_once('-')).map_or(file, |(name, _)| name);
    let text = file.rsplit_once("/registry/src/").map_or(frame, |(_, rest)| rest);
    (name.to_owned(), text.to_owned())
}

fn blamed(place: &str, kind: Kind) -> String {
    match place.split_once('/') {
        Some((folder, _)) if matches!(kind, Kind::Memory | Kind::Collection) => folder.to_owned(),
        _ => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_known_by_the_names_of_their_functions() {
        let kind = |name| Kind::of_function(name).flatten();
        assert_eq!(kind("core::panicking::panic_bounds_check"), Some(Kind::Index));
        assert_eq!(kind("core::slice::index::slice_index_fail"), Some(Kind::Index));
        assert_eq!(kind("<alloc::vec::Vec<_, _>>::remove::assert_failed"), Some(Kind::Index));
        assert_eq!(kind("core::option::unwrap_failed"), Some(Kind::Unwrap));
        assert_eq!(kind("core::panicking::panic_const::panic_const_rem_by_zero"), Some(Kind::Division));
        assert_eq!(kind("core::panicking::panic_fmt"), Some(Kind::Assertion));
        assert_eq!(kind("alloc::alloc::handle_alloc_error"), Some(Kind::Memory));
        assert_eq!(
            Kind::of_function("core::panicking::panic_const::panic_const_async_fn_resumed"),
            Some(None)
        );
        assert_eq!(Kind::of_function("core::option::Option<T>::map"), None);
        assert!(Kind::ALL.into_iter().all(|kind| Kind::of_name(kind.name()) == Some(kind)));
    }

    #[test]
    fn a_line_is_of_a_file_of_ours_or_of_a_crate() {
        let root = Path::new("/home/me/prism");
        let name = |frame| place(frame, root).0;
        assert_eq!(name("/home/me/prism/xen/src/ring/mod.rs:7"), "xen/src/ring/mod.rs");
        assert_eq!(name("/r/registry/src/index-1/ext4-view-1.0.2/src/lib.rs:7"), "ext4-view");
        assert!(is_std("/rustc/0123/library/core/src/option.rs:9"));
        assert_eq!(blamed("xen/src/ring/mod.rs", Kind::Memory), "xen");
        assert_eq!(blamed("xen/src/ring/mod.rs", Kind::Index), "xen/src/ring/mod.rs");
    }
}
