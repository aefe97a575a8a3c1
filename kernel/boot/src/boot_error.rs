// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the loader's information could not be parsed.

use core::fmt;

use crate::Text;

/// Nothing sane can be done with what the loader handed over. Always the loader's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootError {
    /// A structure without which the boot cannot go on is not in readable memory.
    Unreadable {
        /// The structure.
        what: &'static str,
        /// Physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
    },
    /// A structure does not begin with its magic number.
    BadMagic {
        /// The structure.
        what: &'static str,
        /// The number it should begin with.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The start info of a PV guest does not begin with `xen-`.
    NotXen {
        /// What it begins with.
        found: Text<32>,
    },
    /// A structure says of itself that it is too short or too long to be one.
    BadLength {
        /// The structure.
        what: &'static str,
        /// Smallest sensible length in bytes.
        least: u32,
        /// Largest sensible length in bytes.
        most: u32,
        /// The length found.
        found: u32,
    },
    /// Xen says that this PV guest has no memory.
    NoPages,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { what, address, length } => {
                write!(f, "{what}: expected {length} bytes at {address:#x}, found memory that cannot be read")
            }
            Self::BadMagic { what, expected, found } => {
                write!(
                    f,
                    "{what}: expected magic {expected:#010x}, found {found:#010x}; was this entry point meant?"
                )
            }
            Self::NotXen { found } => {
                write!(f, "PV start info: expected a magic like \"xen-3.0-x86_64\", found \"{found}\"")
            }
            Self::BadLength { what, least, most, found } => {
                write!(f, "{what}: expected a length of {least} to {most} bytes, found {found}")
            }
            Self::NoPages => {
                f.write_str("PV start info: expected nr_pages of 1 or more, found 0; give the guest memory")
            }
        }
    }
}

impl core::error::Error for BootError {}
