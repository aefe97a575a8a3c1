// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a guest's console was shown while it ran.

use sha2::{Digest, Sha256};

/// The beginning of a console, by its length and what tells it from others: a server's may be long.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    length: usize,
    digest: Sha256,
}

impl Shown {
    /// Notes that this was shown next.
    pub fn add(&mut self, text: &str) {
        self.length += text.len();
        self.digest.update(text);
    }

    /// What of the console was not shown: all of it if something else was.
    pub fn rest_of<'a>(&self, console: &'a str) -> &'a str {
        let digest = self.digest.clone().finalize();
        let parts = console.split_at_checked(self.length);
        parts.filter(|(begin, _)| Sha256::digest(begin) == digest).map_or(console, |(_, rest)| rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_told_if_the_beginning_was_shown() {
        let mut shown = Shown::default();
        assert_eq!(shown.rest_of("a\nb\n"), "a\nb\n");
        shown.add("a");
        shown.add("\n");
        assert_eq!(shown.rest_of("a\nb\n"), "b\n");
        assert_eq!(shown.rest_of("a\n"), "");
        for other in ["c\nb\n", "a", "", "\u{e4}\n"] {
            assert_eq!(shown.rest_of(other), other);
        }
    }
}
