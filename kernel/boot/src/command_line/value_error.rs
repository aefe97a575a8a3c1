// SPDX-License-Identifier: MIT OR Apache-2.0
//! An invalid value on the command line.

use core::fmt;

/// The value of a word is not one of those accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueError<'a> {
    /// The word's name.
    pub name: &'a str,
    /// The value found.
    pub value: &'a str,
    /// What would have been accepted, in words.
    pub accepted: &'static str,
}

impl fmt::Display for ValueError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, accepted } = self;
        write!(f, "{name}={value} is not understood; give {accepted}")
    }
}

impl core::error::Error for ValueError<'_> {}
