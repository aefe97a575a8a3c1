// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be asked for: the rules for paths of `docs/misc/xenstore.txt`.
//!
//! An absolute path starts with `/`; any other is relative to the domain's home,
//! `/local/domain/<domid>`. Letters, digits and `-/_@` are allowed; doubled and trailing slashes
//! are not. Names that start with `@` are no nodes: they can only be watched.

use core::fmt;

use xen_sys::io::xs_wire::{XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX};

use super::excerpt::Excerpt;

/// A path that xenstored would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath {
    path: Excerpt,
    flaw: Flaw,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// There is nothing in it.
    Empty,
    /// It is longer than so many bytes: 3072, or 2048 for a relative path.
    Long(usize),
    /// It has a character other than letters, digits and `-/_@`.
    Character,
    /// It has two slashes in a row, or one at the end.
    Slash,
    /// It starts with `@`, which is for watches only.
    Special,
}

impl BadPath {
    /// What is wrong with it.
    pub fn flaw(&self) -> Flaw {
        self.flaw
    }
}

/// Checks a path of a node.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(path: &str) -> Result<(), BadPath> {
    if path.starts_with('@') { Err(bad(path, Flaw::Special)) } else { check_watchable(path) }
}

/// Checks a path that is to be watched: of a node, or special.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_watchable(path: &str) -> Result<(), BadPath> {
    flaw(path).map_or(Ok(()), |flaw| Err(bad(path, flaw)))
}

fn bad(path: &str, flaw: Flaw) -> BadPath {
    BadPath { path: Excerpt::of(path.as_bytes()), flaw }
}

fn flaw(path: &str) -> Option<Flaw> {
    let limit = if path.starts_with('/') { XENSTORE_ABS_PATH_MAX } else { XENSTORE_REL_PATH_MAX };
    if path.is_empty() {
        Some(Flaw::Empty)
    } else if path.len() > limit {
        Some(Flaw::Long(limit))
    } else if !path.bytes().all(is_allowed) {
        Some(Flaw::Character)
    } else if path.contains("//") || (path.len() > 1 && path.ends_with('/')) {
        Some(Flaw::Slash)
    } else {
        None
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte)
}

/// Whether `name` can be the last part of a path.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| is_allowed(byte) && byte != b'/')
}

/// Whether `path` is `parent` or lies below it.
pub(crate) fn is_within(path: &str, parent: &str) -> bool {
    match path.strip_prefix(parent) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || parent == "/",
        None => false,
    }
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no xenstore path: ", self.path)?;
        match self.flaw {
            Flaw::Empty => f.write_str("it is empty"),
            Flaw::Long(limit) => write!(f, "it has more than {limit} bytes"),
            Flaw::Character => f.write_str("only letters, digits and -/_@ are allowed"),
            Flaw::Slash => f.write_str("a slash is doubled or trailing"),
            Flaw::Special => f.write_str("what starts with @ can only be watched"),
        }
    }
}

impl core::error::Error for BadPath {}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw_of(path: &str) -> Option<Flaw> {
        check(path).err().map(|error| error.flaw())
    }

    #[test]
    fn paths_of_the_specification_are_accepted() {
        for path in ["/", "/local/domain/0", "device/vbd/51712", "a-b_c@d", "control/feature-suspend"] {
            assert_eq!(flaw_of(path), None, "{path}");
        }
    }

    #[test]
    fn each_rule_of_the_specification_refuses() {
        assert_eq!(flaw_of(""), Some(Flaw::Empty));
        assert_eq!(flaw_of("a//b"), Some(Flaw::Slash));
        assert_eq!(flaw_of("a/"), Some(Flaw::Slash));
        assert_eq!(flaw_of("a b"), Some(Flaw::Character));
        assert_eq!(flaw_of("a\0b"), Some(Flaw::Character));
        assert_eq!(flaw_of("ä"), Some(Flaw::Character));
        assert_eq!(flaw_of("@releaseDomain"), Some(Flaw::Special));
        assert_eq!(check_watchable("@releaseDomain"), Ok(()));
    }

    #[test]
    fn absolute_paths_may_be_longer_than_relative_ones() {
        assert_eq!(flaw_of(&format!("/{}", "a".repeat(3071))), None);
        assert_eq!(flaw_of(&format!("/{}", "a".repeat(3072))), Some(Flaw::Long(3072)));
        assert_eq!(flaw_of(&"a".repeat(2048)), None);
        assert_eq!(flaw_of(&"a".repeat(2049)), Some(Flaw::Long(2048)));
    }

    #[test]
    fn a_path_lies_within_its_parents_and_itself_only() {
        assert!(is_within("/a/b", "/a/b") && is_within("/a/b/c", "/a/b") && is_within("/a", "/"));
        assert!(!is_within("/a/bc", "/a/b") && !is_within("/a", "/a/b"));
    }
}
