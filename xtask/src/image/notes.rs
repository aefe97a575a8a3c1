// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF notes, and Xen's among them (`xen/include/public/elfnote.h`).

use anyhow::{Context, Result};
use object::elf::PT_NOTE;

use super::elf::Elf;

/// The owner of Xen's notes.
pub const XEN: &str = "Xen";

/// Where a PV guest is entered: a virtual address.
pub const XEN_ELFNOTE_ENTRY: u32 = 1;
/// The page that takes hypercall stubs: a virtual address.
pub const XEN_ELFNOTE_HYPERCALL_PAGE: u32 = 2;
/// Virtual address minus pseudo-physical address of a PV guest.
pub const XEN_ELFNOTE_VIRT_BASE: u32 = 3;
/// What is taken from an ELF physical address to get a pseudo-physical one.
pub const XEN_ELFNOTE_PADDR_OFFSET: u32 = 4;
/// The interface the guest speaks.
pub const XEN_ELFNOTE_XEN_VERSION: u32 = 5;
/// The guest's name.
pub const XEN_ELFNOTE_GUEST_OS: u32 = 6;
/// The kind of loader wanted.
pub const XEN_ELFNOTE_LOADER: u32 = 8;
/// Features the guest can do with, as text.
pub const XEN_ELFNOTE_FEATURES: u32 = 10;
/// Where a PVH guest is entered, in 32-bit mode: a physical address.
pub const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whose it is.
    pub owner: String,
    /// What it is, among its owner's.
    pub kind: u32,
    /// What it says.
    pub content: Vec<u8>,
}

impl Note {
    /// The content as a number of 4 or 8 bytes, little endian.
    pub fn number(&self) -> Option<u64> {
        match self.content.len() {
            4 => Some(u32::from_le_bytes(self.content.as_slice().try_into().ok()?).into()),
            8 => Some(u64::from_le_bytes(self.content.as_slice().try_into().ok()?)),
            _ => None,
        }
    }

    /// The content as text, up to its NUL.
    pub fn text(&self) -> Option<&str> {
        let end = self.content.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(&self.content[..end]).ok()
    }
}

/// The notes of a file, from its NOTE segments.
///
/// # Errors
/// If a segment is cut short.
pub fn of_elf(elf: &Elf<'_>) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    for segment in elf.segments().iter().filter(|segment| segment.kind == PT_NOTE.0) {
        notes.extend(parse(elf.content(segment)?)?);
    }
    Ok(notes)
}

/// Size of a note's three leading numbers, in bytes.
const HEADER: usize = 12;

fn parse(mut bytes: &[u8]) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    while !bytes.is_empty() {
        let (note, rest) = first(bytes).context("a note is cut short")?;
        notes.push(note);
        bytes = rest;
    }
    Ok(notes)
}

fn first(bytes: &[u8]) -> Option<(Note, &[u8])> {
    let number = |index: usize| {
        let field = bytes.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
    };
    let (owner_length, content_length, kind) = (number(0)?, number(1)?, number(2)? as u32);
    let content_start = HEADER + owner_length.next_multiple_of(4);
    let owner = bytes.get(HEADER..HEADER.checked_add(owner_length)?)?;
    let content = bytes.get(content_start..content_start.checked_add(content_length)?)?;
    // The padding of the last note may be missing.
    let next = (content_start + content_length.next_multiple_of(4)).min(bytes.len());
    let owner = String::from_utf8_lossy(owner).trim_end_matches('\0').to_owned();
    Some((Note { owner, kind, content: content.to_vec() }, &bytes[next..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![4, 0, 0, 0, content.len() as u8, 0, 0, 0, kind, 0, 0, 0];
        bytes.extend_from_slice(b"Xen\0");
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn numbers_and_texts_are_read() {
        let notes = parse(&[note(18, &[0, 0, 16, 0]), note(5, b"xen-3.0\0")].concat()).unwrap();
        assert_eq!(notes[0].number(), Some(0x10_0000));
        assert_eq!(notes[1].text(), Some("xen-3.0"));
        assert_eq!((notes[1].owner.as_str(), notes[1].kind), ("Xen", 5));
    }

    #[test]
    fn a_note_that_is_cut_short_is_an_error() {
        let bytes = note(5, b"xen-3.0\0");
        assert!(parse(&bytes[..bytes.len() - 5]).is_err());
        assert!(parse(&[0xff; 12]).is_err());
    }
}
