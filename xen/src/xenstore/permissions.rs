// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what with a node.

use alloc::format;
use alloc::string::String;

use crate::DomainId;

/// One entry of a node's permissions.
///
/// The first entry names the node's owner, who may do everything, and what all domains may do
/// that have no entry of their own; each further entry is about one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The domain.
    pub domain: DomainId,
    /// What it may do.
    pub access: Access,
}

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing (`n`).
    None,
    /// Read (`r`).
    Read,
    /// Write (`w`).
    Write,
    /// Read and write (`b`).
    Both,
}

impl Access {
    const LETTERS: [(Self, char); 4] =
        [(Self::None, 'n'), (Self::Read, 'r'), (Self::Write, 'w'), (Self::Both, 'b')];

    fn letter(self) -> char {
        Self::LETTERS.iter().find(|(access, _)| *access == self).map_or('n', |(_, letter)| *letter)
    }
}

impl Permission {
    /// The entry in xenstored's notation, such as `r7`; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let letter = text.chars().next()?;
        let (access, _) = Access::LETTERS.into_iter().find(|(_, known)| *known == letter)?;
        let digits = text.get(1..)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { domain: DomainId(digits.parse().ok()?), access })
    }

    /// The entry in xenstored's notation.
    pub fn text(&self) -> String {
        format!("{}{}", self.access.letter(), self.domain.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_as_they_are_written() {
        for text in ["n0", "r1", "w65535", "b7"] {
            assert_eq!(Permission::parse(text).unwrap().text(), text);
        }
    }

    #[test]
    fn what_is_no_permission_is_refused() {
        for text in ["", "r", "x1", "r-1", "r+1", "r65536", "r1 ", "ä1"] {
            assert_eq!(Permission::parse(text), None, "{text}");
        }
    }
}
