// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a 64-bit little-endian ELF file, in the few terms that images need.

use anyhow::{Context, Result, bail};
use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};

type Header = FileHeader64<LittleEndian>;

const ENDIAN: LittleEndian = LittleEndian;

/// A parsed ELF file.
#[derive(Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
    header: &'a Header,
    segments: &'a [ProgramHeader64<LittleEndian>],
    sections: SectionTable<'a, Header>,
}

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `PT_LOAD`, `PT_NOTE` and so on.
    pub kind: u32,
    /// `PF_R`, `PF_W`, `PF_X`.
    pub flags: u32,
    /// Place of the content in the file, in bytes.
    pub offset: u64,
    /// Virtual address.
    pub address: u64,
    /// Physical address.
    pub physical: u64,
    /// Length of the content in the file, in bytes.
    pub file_size: u64,
    /// Length in memory, in bytes.
    pub memory_size: u64,
}

impl Segment {
    /// Whether the segment is loaded.
    pub const fn is_load(&self) -> bool {
        self.kind == elf::PT_LOAD.0
    }

    /// Whether the segment can be executed.
    pub const fn is_executable(&self) -> bool {
        self.flags & elf::PF_X.0 != 0
    }

    /// Whether the segment can be written to.
    pub const fn is_writable(&self) -> bool {
        self.flags & elf::PF_W.0 != 0
    }

    /// Whether `address` lies in the segment.
    pub const fn contains(&self, address: u64) -> bool {
        self.address <= address && address - self.address < self.memory_size
    }

    /// The first address behind the segment.
    pub const fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }
}

/// A section header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The section's name.
    pub name: String,
    /// `SHT_PROGBITS`, `SHT_NOBITS` and so on.
    pub kind: u32,
    /// `SHF_ALLOC` and so on.
    pub flags: u64,
    /// Virtual address.
    pub address: u64,
    /// Place of the content in the file, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Address of its first instruction.
    pub address: u64,
    /// Its name as the linker knows it.
    pub name: String,
}

impl<'a> Elf<'a> {
    /// Parses a file.
    ///
    /// # Errors
    /// If it is no 64-bit little-endian ELF file, or cut short.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let header = Header::parse(bytes).context("not a 64-bit ELF file")?;
        if !header.is_little_endian() {
            bail!("not a little-endian ELF file");
        }
        let segments = header.program_headers(ENDIAN, bytes).context("bad program headers")?;
        let sections = header.sections(ENDIAN, bytes).context("bad section headers")?;
        Ok(Self { bytes, header, segments, sections })
    }

    /// `ET_EXEC` and so on.
    pub fn kind(&self) -> u16 {
        self.header.e_type(ENDIAN).0
    }

    /// The entry point.
    pub fn entry(&self) -> u64 {
        self.header.e_entry(ENDIAN)
    }

    /// Place of the program headers in the file, in bytes.
    pub fn segments_offset(&self) -> u64 {
        self.header.e_phoff(ENDIAN)
    }

    /// The program headers, in file order.
    pub fn segments(&self) -> Vec<Segment> {
        self.segments.iter().map(segment).collect()
    }

    /// The content of a segment, as far as it is in the file.
    ///
    /// # Errors
    /// If the file is cut short.
    pub fn content(&self, segment: &Segment) -> Result<&'a [u8]> {
        let start = usize::try_from(segment.offset)?;
        let length = usize::try_from(segment.file_size)?;
        let end = start.checked_add(length).context("a segment's size is absurd")?;
        self.bytes.get(start..end).context("a segment lies behind the end of the file")
    }

    /// The bytes that are loaded at `address`.
    pub fn at(&self, address: u64) -> Option<&'a [u8]> {
        let segment =
            self.segments().into_iter().find(|segment| segment.is_load() && segment.contains(address))?;
        let skip = usize::try_from(address - segment.address).ok()?;
        self.content(&segment).ok()?.get(skip..)
    }

    /// The section headers, in file order, without the first, which is none.
    pub fn sections(&self) -> Vec<Section> {
        self.sections.iter().skip(1).map(|header| self.section(header)).collect()
    }

    /// The functions of the symbol table, sorted by address; of several names for an address,
    /// the first in alphabetical order.
    ///
    /// # Errors
    /// If the symbol table is damaged.
    pub fn functions(&self) -> Result<Vec<Function>> {
        let table = self.sections.symbols(ENDIAN, self.bytes, elf::SHT_SYMTAB).context("bad symbol table")?;
        let mut functions = Vec::new();
        for symbol in table.iter() {
            if symbol.st_type() == elf::STT_FUNC && symbol.st_shndx(ENDIAN) != elf::SHN_UNDEF {
                let name = symbol.name(ENDIAN, table.strings()).context("bad symbol name")?;
                let name = String::from_utf8_lossy(name).into_owned();
                functions.push(Function { address: symbol.st_value(ENDIAN), name });
            }
        }
        functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
        functions.dedup_by_key(|function| function.address);
        Ok(functions)
    }

    fn section(&self, header: &SectionHeader64<LittleEndian>) -> Section {
        let name = self.sections.section_name(ENDIAN, header).unwrap_or_default();
        Section {
            name: String::from_utf8_lossy(name).into_owned(),
            kind: header.sh_type(ENDIAN).0,
            flags: header.sh_flags(ENDIAN).0,
            address: header.sh_addr(ENDIAN),
            offset: header.sh_offset(ENDIAN),
            size: header.sh_size(ENDIAN),
            align: header.sh_addralign(ENDIAN),
        }
    }
}

fn segment(header: &ProgramHeader64<LittleEndian>) -> Segment {
    Segment {
        kind: header.p_type(ENDIAN).0,
        flags: header.p_flags(ENDIAN).0,
        offset: header.p_offset(ENDIAN),
        address: header.p_vaddr(ENDIAN),
        physical: header.p_paddr(ENDIAN),
        file_size: header.p_filesz(ENDIAN),
        memory_size: header.p_memsz(ENDIAN),
    }
}
