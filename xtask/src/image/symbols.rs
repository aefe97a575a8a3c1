// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions of an image: as the table that the kernel's crash reports use, and for reading
//! the register dumps of a hypervisor.
//!
//! The table, little endian: 8 bytes `PRSMSYM1`, u32 count, u32 length of the strings; count
//! entries of u32 address and u32 offset into the strings, sorted by address; the strings,
//! NUL-terminated UTF-8. The last entry has no name and marks the end of the code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Image;
use super::elf::{Elf, Segment};

/// First bytes of a table.
pub const MAGIC: &[u8; 8] = b"PRSMSYM1";

/// The symbol table of a linked file, as bytes.
///
/// # Errors
/// If its symbols are damaged or lie above 4 GiB.
pub fn table(elf: &Elf<'_>) -> Result<Vec<u8>> {
    encode(&Symbols::of_elf(elf)?)
}

fn encode(symbols: &Symbols) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    let mut strings = Vec::new();
    let end = [(symbols.end, String::new())];
    for (address, name) in symbols.functions.iter().chain(&end) {
        let address = u32::try_from(*address).context("a function lies above 4 GiB")?;
        entries.extend_from_slice(&address.to_le_bytes());
        entries.extend_from_slice(&u32::try_from(strings.len())?.to_le_bytes());
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let mut table = MAGIC.to_vec();
    table.extend_from_slice(&u32::try_from(entries.len() / 8)?.to_le_bytes());
    table.extend_from_slice(&u32::try_from(strings.len())?.to_le_bytes());
    table.extend_from_slice(&entries);
    table.extend_from_slice(&strings);
    Ok(table)
}

/// The entries of a table: address and name.
///
/// # Errors
/// If it is not as [`table`] makes it.
pub fn read_table(table: &[u8]) -> Result<Vec<(u32, String)>> {
    let (magic, rest) = table.split_at_checked(MAGIC.len()).context("the symbol table is cut short")?;
    ensure!(magic == MAGIC, "there is no symbol table");
    let count = number(rest, 0)? as usize;
    let length = number(rest, 4)? as usize;
    let entries = rest.get(8..8 + count * 8).context("the symbol table is cut short")?;
    let strings = rest.get(8 + count * 8..).context("the symbol table is cut short")?;
    ensure!(strings.len() == length, "the symbol table's length is wrong");
    entries
        .chunks_exact(8)
        .map(|entry| Ok((number(entry, 0)?, string(strings, number(entry, 4)? as usize)?)))
        .collect()
}

fn number(bytes: &[u8], offset: usize) -> Result<u32> {
    let field = bytes.get(offset..offset + 4).context("the symbol table is cut short")?;
    Ok(u32::from_le_bytes(field.try_into()?))
}

fn string(strings: &[u8], offset: usize) -> Result<String> {
    let rest = strings.get(offset..).context("a symbol's name lies outside the table")?;
    let end = rest.iter().position(|&byte| byte == 0).context("a symbol's name has no end")?;
    Ok(std::str::from_utf8(&rest[..end])?.to_owned())
}

/// The functions of an image by address.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// Addresses and demangled names, sorted by address.
    functions: Vec<(u64, String)>,
    /// First address behind the code.
    end: u64,
}

impl Symbols {
    /// The functions of an image that the runner built; of any other, none are known.
    pub fn of_image(image: &Image) -> Self {
        image.debug.as_deref().and_then(|file| Self::of_file(file).ok()).unwrap_or_default()
    }

    /// The functions of the ELF file at `path`, which must be unstripped.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::of_elf(&Elf::parse(&bytes)?)
    }

    fn of_elf(elf: &Elf<'_>) -> Result<Self> {
        let code: Vec<Segment> = elf
            .segments()
            .into_iter()
            .filter(|segment| segment.is_load() && segment.is_executable())
            .collect();
        let functions = elf.functions()?.into_iter();
        let functions =
            functions.filter(|function| code.iter().any(|segment| segment.contains(function.address)));
        let functions = functions
            .map(|function| (function.address, format!("{:#}", rustc_demangle::demangle(&function.name))));
        Ok(Self { functions: functions.collect(), end: code.iter().map(Segment::end).max().unwrap_or(0) })
    }

    /// The names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|(_, name)| name.as_str())
    }

    /// The address and the name of each function.
    pub fn functions(&self) -> impl Iterator<Item = (u64, &str)> {
        self.functions.iter().map(|(address, name)| (*address, name.as_str()))
    }

    /// Where the function at `address` starts.
    pub fn start(&self, address: u64) -> Option<u64> {
        let next = self.functions.partition_point(|(start, _)| *start <= address);
        self.functions.get(next.checked_sub(1)?).map(|(start, _)| *start)
    }

    /// The address of a function whose name ends so.
    #[cfg(test)]
    pub(super) fn address(&self, name: &str) -> Option<u64> {
        self.functions.iter().find(|(_, found)| found.ends_with(name)).map(|(address, _)| *address)
    }

    /// The function at `address` and the distance from its start, as `name+0xN`.
    pub fn name(&self, address: u64) -> Option<String> {
        if address >= self.end {
            return None;
        }
        let next = self.functions.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.functions.get(next.checked_sub(1)?)?;
        Some(format!("{name}+{:#x}", address - start))
    }

    /// The functions named by a hypervisor's register dump: one line for each hexadecimal word
    /// that is an address of code, in the order of the dump.
    pub fn explain(&self, dump: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in dump.lines() {
            for address in words(line).filter_map(address) {
                if let Some(name) = self.name(address) {
                    lines.push(format!("{address:#x} {name}"));
                }
            }
        }
        lines.dedup();
        lines
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric())
}

/// A word of 16 hexadecimal digits, or 8 in 32-bit mode, as register and stack dumps hold.
fn address(word: &str) -> Option<u64> {
    matches!(word.len(), 8 | 16).then(|| u64::from_str_radix(word, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> Symbols {
        Symbols {
            functions: vec![(0x1000, "start".to_owned()), (0x1100, "fault::go".to_owned())],
            end: 0x1200,
        }
    }

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        assert_eq!(symbols().name(0x1104).as_deref(), Some("fault::go+0x4"));
        assert_eq!(symbols().name(0x10ff).as_deref(), Some("start+0xff"));
    }

    #[test]
    fn addresses_outside_the_code_have_no_name() {
        assert_eq!(symbols().name(0xfff), None);
        assert_eq!(symbols().name(0x1200), None);
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let table = encode(&symbols()).unwrap();
        let expected =
            [(0x1000, "start".to_owned()), (0x1100, "fault::go".to_owned()), (0x1200, String::new())];
        assert_eq!(read_table(&table).unwrap(), expected);
        assert!(read_table(&table[..table.len() - 1]).is_err());
    }

    #[test]
    fn a_register_dump_is_explained_in_its_order() {
        let dump = "(XEN) RIP:    e033:[<0000000000001104>]\n(XEN) Guest stack trace from rsp=0000000000009000:\n\
                    (XEN)    0000000000001010 00000000deadbeef\nEIP=00001000 EFL=00000006";
        let functions = ["0x1104 fault::go+0x4", "0x1010 start+0x10", "0x1000 start+0x0"];
        assert_eq!(symbols().explain(dump), functions);
    }
}
