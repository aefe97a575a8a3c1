// SPDX-License-Identifier: MIT OR Apache-2.0
//! The symbol table that the image tool puts into the finished image, so that a backtrace can name
//! functions. Names repeat each other's parts, so they are written by rules, each of which stands for two
//! symbols: a quarter of what they would take as they are.
//!
//! All numbers are little endian:
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 8 | `PRSMSYM2` |
//! | 8 | 4 | `count` of blocks |
//! | 12 | 4 | length of the rest, behind the blocks |
//! | 16 | 8 × `count` | `{u32 address, u32 offset among the records}`, addresses ascending |
//! | | 2 | how many rules there are |
//! | | 4 each | rules: `{u16 symbol, u16 symbol}` |
//! | | | records: [`BLOCK`] functions for each block, the last one may have fewer |
//!
//! A symbol below 0x80 is a character; 0x80 + n is rule n, and a rule consists of characters and of rules
//! before it. A record is the length of a function in bytes (LEB128), its name, and a zero. A name is a
//! sequence of symbols: 0x01 to 0x7f are characters, 0x80 to 0xbf the first 64 rules, and 0xc0 to 0xff with
//! the byte behind it, which is not zero, the others. Functions of a block follow each other without gaps,
//! the first one from its address; where there is none, the name is empty.

use core::fmt::{self, Write};
use core::num::NonZeroU8;

use crate::bytes::{as_usize, u32_at};

/// What the table begins with.
pub const MAGIC: [u8; 8] = *b"PRSMSYM2";
/// Length of what precedes the blocks.
pub const HEADER_LENGTH: usize = 16;
/// How many functions a block has.
pub const BLOCK: usize = 16;
/// How deep rules may lie in each other.
pub const DEPTH: usize = 24;
/// How many characters of a name are told.
pub const LONGEST: usize = 1024;

/// What rules are numbered from, as symbols.
const FIRST_RULE: u16 = 0x80;
/// How many rules are one byte in a name.
const SHORT_RULES: u16 = 64;

/// The symbol table of an image.
///
/// Nothing in it is trusted: a lookup in a broken table finds nothing or a wrong name.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'a> {
    blocks: &'a [[u8; 8]],
    rules: &'a [[u8; 4]],
    records: &'a [u8],
}

impl<'a> SymbolTable<'a> {
    /// The table at the beginning of `blob`; `None` if it is not one or is longer than `blob`.
    #[must_use]
    pub fn parse(blob: &'a [u8]) -> Option<Self> {
        let count = as_usize(u32_at(blob, 8)?.into());
        let length = as_usize(u32_at(blob, 12)?.into());
        let body = blob.strip_prefix(&MAGIC)?.get(HEADER_LENGTH.checked_sub(MAGIC.len())?..)?;
        let (blocks, rest) = body.split_at_checked(count.checked_mul(8)?)?;
        let (rules, records) = match rest.get(..length)?.split_first_chunk() {
            Some((number, rest)) => {
                rest.split_at_checked(usize::from(u16::from_le_bytes(*number)).checked_mul(4)?)?
            }
            None => Default::default(),
        };
        Some(Self { blocks: blocks.as_chunks().0, rules: rules.as_chunks().0, records })
    }

    /// The name of the function that `address` lies in, and how many bytes behind its beginning.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<(Name<'a>, u64)> {
        let after = self.blocks.partition_point(|block| start_of(block) <= address);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        let mut start = start_of(block);
        let mut records = self.records.get(as_usize(u32_at(block, 4)?.into())..)?;
        for _ in 0..BLOCK {
            let length = number(&mut records)?;
            let end = records.iter().position(|byte| *byte == 0)?;
            let (codes, rest) = records.split_at_checked(end)?;
            let next = start.checked_add(length)?;
            if address < next {
                let name = Name { table: *self, codes };
                return (!codes.is_empty()).then_some((name, address.checked_sub(start)?));
            }
            start = next;
            records = rest.get(1..)?;
        }
        None
    }

    /// Whether the table names nothing, as in an image that the image tool has not finished.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The two symbols that a symbol stands for, if it is a rule of those that there are.
    fn rule(&self, symbol: u16) -> Option<[u16; 2]> {
        let [a, b, c, d] = *self.rules.get(usize::from(symbol.checked_sub(FIRST_RULE)?))?;
        Some([u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])])
    }

    /// Writes what a symbol stands for, as long as `left` is not zero.
    fn expand(&self, symbol: u16, left: &mut usize, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is still to be written, the last one first. A rule consists of those before it: this ends.
        let mut pending = [0; DEPTH];
        let mut next = Some(symbol);
        let mut depth = 0_usize;
        while let Some(symbol) = next {
            if let Some([first, second]) = self.rule(symbol) {
                let place = pending.get_mut(depth).filter(|_| first < symbol && second < symbol);
                let Some(place) = place else { return Ok(()) };
                *place = second;
                depth = depth.saturating_add(1);
                next = Some(first);
                continue;
            }
            let Some(fewer) = left.checked_sub(1) else { return Ok(()) };
            *left = fewer;
            out.write_char(u8::try_from(symbol).map_or('?', char::from))?;
            next = depth.checked_sub(1).and_then(|last| {
                depth = last;
                pending.get(last).copied()
            });
        }
        Ok(())
    }
}

/// The name of a function. It is not looked at before it is displayed.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    table: SymbolTable<'a>,
    codes: &'a [u8],
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = LONGEST;
        let mut codes = self.codes.iter().copied();
        while let Some(code) = codes.next() {
            let symbol = match code {
                ..0xc0 => u16::from(code),
                _ => long_rule(code, codes.next().and_then(NonZeroU8::new)),
            };
            self.table.expand(symbol, &mut left, f)?;
        }
        Ok(())
    }
}

/// The symbol of a rule that has two bytes in a name.
fn long_rule(high: u8, low: Option<NonZeroU8>) -> u16 {
    let low = low.map_or(0, |low| u16::from(low.get()).saturating_sub(1));
    let rule = u16::from(high & 0x3f).saturating_mul(255).saturating_add(low);
    rule.saturating_add(FIRST_RULE).saturating_add(SHORT_RULES)
}

fn start_of(block: &[u8; 8]) -> u64 {
    u32_at(block, 0).unwrap_or(0).into()
}

/// Takes a number of up to 32 bits, seven of them in each byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
