// SPDX-License-Identifier: MIT OR Apache-2.0
//! The symbol table that the image tool puts into the finished image, so that a backtrace can name
//! functions.
//!
//! All numbers are little endian:
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 8 | `PRSMSYM1` |
//! | 8 | 4 | `count` of entries |
//! | 12 | 4 | `strings_len` |
//! | 16 | 8 × `count` | `{u32 address, u32 name_offset}`, addresses ascending |
//! | 16 + 8 × `count` | `strings_len` | names, each UTF-8 and ended by a NUL |
//!
//! A function reaches from its address to that of the next entry. An entry with an empty name ends
//! the one before and names nothing: the last entry is such a one, at the end of the text.

use crate::bytes::{as_usize, u32_at};

/// What the table begins with.
pub const MAGIC: [u8; 8] = *b"PRSMSYM1";
/// Length of what precedes the entries.
pub const HEADER_LENGTH: usize = 16;
/// Length of an entry.
pub const ENTRY_LENGTH: usize = 8;

/// The symbol table of an image.
///
/// Nothing in it is trusted: a lookup in a broken table finds nothing or a wrong name.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    entries: &'a [[u8; ENTRY_LENGTH]],
    strings: &'a [u8],
}

impl<'a> SymbolTable<'a> {
    /// The table at the beginning of `blob`; `None` if it is not one or is longer than `blob`.
    #[must_use]
    pub fn parse(blob: &'a [u8]) -> Option<Self> {
        let count = as_usize(u32_at(blob, 8)?.into());
        let strings_length = as_usize(u32_at(blob, 12)?.into());
        let body = blob.strip_prefix(&MAGIC)?.get(HEADER_LENGTH.checked_sub(MAGIC.len())?..)?;
        let (entries, strings) = body.split_at_checked(count.checked_mul(ENTRY_LENGTH)?)?;
        let (entries, _) = entries.as_chunks();
        Some(Self { entries, strings: strings.get(..strings_length)? })
    }

    /// The name of the function that `address` lies in, and how many bytes behind its beginning.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<(&'a str, u64)> {
        let after = self.entries.partition_point(|entry| entry_address(entry) <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let name = self.name(u32_at(entry, 4)?)?;
        let offset = address.checked_sub(entry_address(entry))?;
        (!name.is_empty()).then_some((name, offset))
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table names nothing, as in an image that the image tool has not finished.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn name(&self, offset: u32) -> Option<&'a str> {
        let rest = self.strings.get(as_usize(offset.into())..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        core::str::from_utf8(rest.get(..length)?).ok()
    }
}

fn entry_address(entry: &[u8; ENTRY_LENGTH]) -> u64 {
    u32_at(entry, 0).unwrap_or(0).into()
}
