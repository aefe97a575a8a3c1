// SPDX-License-Identifier: MIT OR Apache-2.0
//! From link output to image: debug sections and symbols go, and the symbol table of crash
//! reports comes into the segment that the linker script reserved for it.
//!
//! Everything up to the reserved segment keeps its place in the file: loaders look for headers
//! at fixed offsets.

use anyhow::{Context, Result, bail};
use object::elf::{SHF_ALLOC, SHT_STRTAB};

use super::elf::{Elf, Section};
use super::symbols;

/// Name of the reserved section.
const RESERVED: &str = ".ksyms";

const PAGE: usize = 4096;

/// Sizes of an ELF file's parts, and places of the fields changed here.
const PROGRAM_HEADER_SIZE: usize = 56;
const SECTION_HEADER_SIZE: usize = 64;
const P_OFFSET: usize = 8;
const P_FILESZ: usize = 32;
const P_MEMSZ: usize = 40;
const E_SHOFF: usize = 40;
const E_SHNUM: usize = 60;
const E_SHSTRNDX: usize = 62;

/// The finished image of a link output.
///
/// # Errors
/// If the link output has no reserved segment, or is damaged.
pub fn finish(linked: &[u8]) -> Result<Vec<u8>> {
    let elf = Elf::parse(linked)?;
    let sections = elf.sections();
    let reserved = sections.iter().find(|section| section.name == RESERVED);
    let reserved = reserved
        .with_context(|| format!("it has no section {RESERVED}: build.rs has to call prism_build::link()"))?;
    let segment = reserved_segment(&elf, reserved)?;
    let table = symbols::table(&elf)?;

    let mut image = linked[..body_end(&elf, segment)?].to_vec();
    pad(&mut image, PAGE);
    let offset = image.len();
    image.extend_from_slice(&table);
    set_segment(&mut image, &elf, segment, offset, table.len())?;
    let kept = sections.into_iter().filter(|section| section.flags & SHF_ALLOC.0 != 0);
    let kept = kept.map(|section| moved(section, offset, table.len())).collect();
    append_sections(&mut image, kept)?;
    Ok(image)
}

/// Whether this is an image, or what becomes one.
pub fn is_ours(elf: &Elf<'_>) -> bool {
    elf.sections().iter().any(|section| section.name == RESERVED)
}

/// Whether this is a link output that has not been finished: its symbols are there.
pub fn is_linked(elf: &Elf<'_>) -> bool {
    is_ours(elf) && elf.sections().iter().any(|section| section.name == ".symtab")
}

fn moved(section: Section, offset: usize, size: usize) -> Section {
    if section.name == RESERVED {
        Section { offset: offset as u64, size: size as u64, ..section }
    } else {
        section
    }
}

/// The index of the program header that loads the reserved section and nothing else.
fn reserved_segment(elf: &Elf<'_>, reserved: &Section) -> Result<usize> {
    let segments = elf.segments();
    let index = segments.iter().rposition(|segment| segment.is_load()).context("no LOAD segment")?;
    if segments[index].address != reserved.address || segments[index].memory_size != reserved.size {
        bail!("the last LOAD segment must hold {RESERVED} and nothing else");
    }
    if segments.iter().any(|other| other.is_load() && other.address > segments[index].address) {
        bail!("{RESERVED} must have the highest address: it grows");
    }
    Ok(index)
}

/// Where in the file the content of all other segments ends.
fn body_end(elf: &Elf<'_>, reserved: usize) -> Result<usize> {
    let segments = elf.segments();
    let others = segments.iter().enumerate().filter(|(index, _)| *index != reserved);
    let end = others.map(|(_, segment)| segment.offset + segment.file_size).max().unwrap_or(0);
    Ok(usize::try_from(end)?)
}

fn set_segment(image: &mut [u8], elf: &Elf<'_>, index: usize, offset: usize, size: usize) -> Result<()> {
    let header = usize::try_from(elf.segments_offset())? + index * PROGRAM_HEADER_SIZE;
    for (field, value) in [(P_OFFSET, offset), (P_FILESZ, size), (P_MEMSZ, size)] {
        let place = header + field;
        image[place..place + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    Ok(())
}

/// Appends section headers and their names, and makes the file header point to them.
fn append_sections(image: &mut Vec<u8>, mut sections: Vec<Section>) -> Result<()> {
    let names_offset = image.len() as u64;
    sections.push(Section {
        name: ".shstrtab".to_owned(),
        kind: SHT_STRTAB.0,
        flags: 0,
        address: 0,
        offset: names_offset,
        size: 0,
        align: 1,
    });
    let mut names = vec![0];
    let name_places: Vec<u32> =
        sections.iter().map(|section| append_name(&mut names, &section.name)).collect();
    sections.last_mut().context("no sections")?.size = names.len() as u64;
    image.extend_from_slice(&names);
    pad(image, 8);

    let table = image.len();
    image.resize(table + SECTION_HEADER_SIZE, 0);
    for (section, name) in sections.iter().zip(name_places) {
        append_section(image, section, name);
    }
    image[E_SHOFF..E_SHOFF + 8].copy_from_slice(&(table as u64).to_le_bytes());
    let count = u16::try_from(sections.len() + 1)?;
    image[E_SHNUM..E_SHNUM + 2].copy_from_slice(&count.to_le_bytes());
    image[E_SHSTRNDX..E_SHSTRNDX + 2].copy_from_slice(&(count - 1).to_le_bytes());
    Ok(())
}

fn append_name(names: &mut Vec<u8>, name: &str) -> u32 {
    let place = names.len() as u32;
    names.extend_from_slice(name.as_bytes());
    names.push(0);
    place
}

fn append_section(image: &mut Vec<u8>, section: &Section, name: u32) {
    image.extend_from_slice(&name.to_le_bytes());
    image.extend_from_slice(&section.kind.to_le_bytes());
    for value in [section.flags, section.address, section.offset, section.size] {
        image.extend_from_slice(&value.to_le_bytes());
    }
    // No section that is loaded links to another one.
    image.extend_from_slice(&[0; 8]);
    image.extend_from_slice(&section.align.to_le_bytes());
    image.extend_from_slice(&[0; 8]);
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}
