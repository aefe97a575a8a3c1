// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions of an image: as the table that the kernel's crash reports use, and for reading
//! the register dumps of a hypervisor.
//!
//! The kernel's reader, `kernel/boot/src/symbols.rs`, describes the table.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::Image;
use super::elf::{Elf, Segment};
use super::grammar::{FIRST_RULE, Grammar, Symbol};

/// First bytes of a table.
pub const MAGIC: &[u8; 8] = b"PRSMSYM2";

/// How many functions share an address that is written out.
const BLOCK: usize = 16;

/// How many rules are one byte in a name.
const SHORT_RULES: Symbol = 64;

/// The symbol table of a linked file, as bytes.
///
/// # Errors
/// If its symbols are damaged or lie above 4 GiB.
pub fn table(elf: &Elf<'_>) -> Result<Vec<u8>> {
    encode(&Symbols::of_elf(elf)?)
}

fn encode(symbols: &Symbols) -> Result<Vec<u8>> {
    let grammar = Grammar::of(symbols.names());
    let starts: Vec<u64> =
        symbols.functions.iter().map(|(address, _)| *address).chain([symbols.end]).collect();
    let (mut blocks, mut records) = (Vec::new(), Vec::new());
    for (index, (name, extent)) in grammar.texts.iter().zip(starts.array_windows()).enumerate() {
        let [start, next] = *extent;
        if index % BLOCK == 0 {
            let address = u32::try_from(start).context("a function lies above 4 GiB")?;
            blocks.extend_from_slice(&address.to_le_bytes());
            blocks.extend_from_slice(&u32::try_from(records.len())?.to_le_bytes());
        }
        put_number(&mut records, u32::try_from(next.saturating_sub(start))?);
        name.iter().for_each(|symbol| put_symbol(&mut records, *symbol));
        records.push(0);
    }
    let rules = grammar.rules.as_flattened().iter().flat_map(|symbol| symbol.to_le_bytes());
    let rules: Vec<u8> = u16::try_from(grammar.rules.len())?.to_le_bytes().into_iter().chain(rules).collect();
    let mut table = MAGIC.to_vec();
    table.extend_from_slice(&u32::try_from(blocks.len() / 8)?.to_le_bytes());
    table.extend_from_slice(&u32::try_from(rules.len() + records.len())?.to_le_bytes());
    Ok([table, blocks, rules, records].concat())
}

/// Appends a number, seven bits in each byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a symbol of a name: a character and one of the first rules are a byte, other rules are two,
/// neither of which is zero.
fn put_symbol(bytes: &mut Vec<u8>, symbol: Symbol) {
    match symbol.checked_sub(FIRST_RULE + SHORT_RULES) {
        None => bytes.push(symbol as u8),
        Some(rule) => bytes.extend([0xc0 | (rule / 255) as u8, (rule % 255) as u8 + 1]),
    }
}

/// The functions of a table: address and name, and the end of the code, which has no name.
///
/// # Errors
/// If it is not as [`table`] makes it.
pub fn read_table(table: &[u8]) -> Result<Vec<(u32, String)>> {
    read(table).context("the symbol table is cut short")?
}

/// The same; `None` if something is missing at the end.
fn read(table: &[u8]) -> Option<Result<Vec<(u32, String)>>> {
    let (magic, rest) = table.split_at_checked(MAGIC.len())?;
    if magic != MAGIC {
        return Some(Err(anyhow!("there is no symbol table")));
    }
    let (count, length) = (number(rest, 0)? as usize, number(rest, 4)? as usize);
    let (blocks, body) = rest.get(8..)?.split_at_checked(count * 8)?;
    if body.len() != length {
        return (body.len() > length).then(|| Err(anyhow!("the symbol table's length is wrong")));
    }
    let (count, rest) = body.split_first_chunk()?;
    let (rules, records) = rest.split_at_checked(usize::from(u16::from_le_bytes(*count)) * 4)?;
    let rules: Vec<[Symbol; 2]> = rules
        .as_chunks()
        .0
        .iter()
        .map(|[a, b, c, d]| [u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])])
        .collect();
    let mut functions = Vec::new();
    let mut end = 0;
    for block in blocks.as_chunks::<8>().0 {
        let mut start = number(block, 0)?;
        let mut rest = records.get(number(block, 4)? as usize..)?;
        for _ in 0..BLOCK {
            if rest.is_empty() {
                break;
            }
            let length = take_number(&mut rest)?;
            let ends = rest.iter().position(|byte| *byte == 0)?;
            functions.push((start, name(&rest[..ends], &rules)?));
            (start, rest) = (start + length, &rest[ends + 1..]);
        }
        end = start;
    }
    functions.push((end, String::new()));
    Some(Ok(functions))
}

fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let first = *bytes.split_off_first()?;
        value |= u32::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A name that is written by rules.
fn name(codes: &[u8], rules: &[[Symbol; 2]]) -> Option<String> {
    let mut text = String::new();
    let mut codes = codes.iter().map(|code| Symbol::from(*code));
    while let Some(code) = codes.next() {
        let symbol = if code < 0xc0 { code } else { 0xc0 + (code & 0x3f) * 255 + codes.next()? - 1 };
        let mut pending = vec![symbol];
        while let Some(symbol) = pending.pop() {
            match symbol.checked_sub(FIRST_RULE) {
                None => text.push(char::from(symbol as u8)),
                Some(rule) => pending.extend(rules.get(usize::from(rule))?.iter().rev()),
            }
        }
    }
    Some(text)
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

    /// The name of each function, and how many bytes there are to the next one.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        let ends = self.functions.iter().skip(1).map(|(address, _)| *address).chain([self.end]);
        let functions = self.functions.iter().zip(ends);
        functions.map(|((address, name), end)| (name.as_str(), end.saturating_sub(*address)))
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
        let name = |number: u32| format!("<a::b::Number<{number}> as c::Display>::fmt");
        let functions = (0..999).map(|number| (u64::from(0x1000 + number * number), name(number))).collect();
        let table = encode(&Symbols { functions, end: 0x1234_5678 }).unwrap();
        let end = (0x1234_5678, String::new());
        let expected: Vec<_> =
            (0..999).map(|number| (0x1000 + number * number, name(number))).chain([end]).collect();
        assert_eq!(read_table(&table).unwrap(), expected);
        assert!(read_table(&table[..table.len() - 1]).is_err());
        assert!(read_table(b"PRSMSYM1").is_err());
        // What names have in common is written once.
        assert!(table.len() < 999 * 10, "{} bytes", table.len());
    }

    #[test]
    fn a_register_dump_is_explained_in_its_order() {
        let dump = "(XEN) RIP:    e033:[<0000000000001104>]\n(XEN) Guest stack trace from rsp=0000000000009000:\n\
                    (XEN)    0000000000001010 00000000deadbeef\nEIP=00001000 EFL=00000006";
        let functions = ["0x1104 fault::go+0x4", "0x1010 start+0x10", "0x1000 start+0x0"];
        assert_eq!(symbols().explain(dump), functions);
    }
}
