// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Multiboot 2 protocol: the boot information of the Multiboot2 Specification 2.0, section 3.6.

use crate::{
    BootError, BootInfo, BootNote, BootProtocol, CommandLine, Kind, PhysMemory, PhysRange, Text,
    bytes::{Record, as_u64},
};

/// What the loader leaves in EAX.
pub const MAGIC: u32 = 0x36d7_6289;

/// Length of the fixed part: `total_size` and a reserved word.
const HEAD_LENGTH: u64 = 8;
/// Length of a tag's type and size.
const TAG_HEAD: u64 = 8;
/// Shortest information there can be: the fixed part and the last tag.
const LEAST: u32 = 16;
/// Longer than any loader makes it.
const MOST: u32 = 4 << 20;
/// Length of ACPI's root pointer structure before revision 2 (ACPI specification, "RSDP").
const RSDP_LENGTH: u64 = 20;
/// Tags looked at.
const TAGS: u64 = 256;

const INFO: &str = "Multiboot2 information";
const MEMORY_MAP: &str = "memory map";

/// Reads the boot information at physical address `address` (EBX at the entry).
///
/// # Errors
///
/// If it is not readable or its length is absurd.
pub fn parse(memory: &impl PhysMemory, address: u64) -> Result<BootInfo, BootError> {
    let unreadable = BootError::Unreadable { what: INFO, address, length: HEAD_LENGTH };
    let found = Record::<8>::read(memory, address).ok_or(unreadable)?.u32(0);
    let whole = PhysRange::with_length(address, found.into()).filter(|_| (LEAST..=MOST).contains(&found));
    let whole = whole.ok_or(BootError::BadLength { what: INFO, least: LEAST, most: MOST, found })?;
    let mut info = BootInfo::new(BootProtocol::Multiboot2);
    info.reserve(INFO, address, found.into());
    let mut sizes = None;
    for tag in Tags::new(memory, whole) {
        match tag {
            Ok(tag) => read_tag(&mut info, memory, tag, &mut sizes),
            Err(note) => info.notes.push(note),
        }
    }
    if let (true, Some((lower, upper))) = (info.memory.is_empty(), sizes) {
        info.add_memory_sizes(lower, upper);
    }
    info.judge_memory();
    Ok(info)
}

/// A tag: its type, and where what follows its type and size lies.
#[derive(Clone, Copy)]
struct Tag {
    number: u32,
    body: PhysRange,
}

/// The tags in order, up to the last one or to the first that makes no sense.
struct Tags<'a, M> {
    memory: &'a M,
    rest: Option<PhysRange>,
    left: u64,
}

impl<'a, M: PhysMemory> Tags<'a, M> {
    fn new(memory: &'a M, whole: PhysRange) -> Self {
        let rest = PhysRange::new(whole.start().saturating_add(HEAD_LENGTH), whole.end());
        Self { memory, rest, left: TAGS }
    }

    /// The tag at the beginning of `rest`.
    fn read(&self, rest: PhysRange) -> Result<Tag, BootNote> {
        let cut_short = BootNote::CutShort { what: INFO };
        let address = rest.start();
        if rest.len() < TAG_HEAD {
            return Err(cut_short);
        }
        let head =
            Record::<8>::read(self.memory, address).ok_or(BootNote::Unreadable { what: INFO, address })?;
        let end = address.saturating_add(head.u32(4).into());
        let body = PhysRange::new(address.saturating_add(TAG_HEAD), end).filter(|body| rest.encloses(*body));
        Ok(Tag { number: head.u32(0), body: body.ok_or(cut_short)? })
    }
}

impl<M: PhysMemory> Iterator for Tags<'_, M> {
    type Item = Result<Tag, BootNote>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Some(Err(BootNote::TooMany {
                what: "Multiboot2 tags",
                count: TAGS.saturating_add(1),
                limit: TAGS,
            }));
        };
        let tag = self.read(rest);
        self.left = left;
        match tag {
            Ok(Tag { number: 0, .. }) => None,
            Ok(tag) => {
                // Tags begin at multiples of 8 bytes.
                let next = tag.body.end().checked_next_multiple_of(8)?;
                self.rest = PhysRange::new(next, rest.end());
                Some(Ok(tag))
            }
            Err(note) => Some(Err(note)),
        }
    }
}

/// `sizes` receives KiB of memory below and above 1 MiB.
fn read_tag(info: &mut BootInfo, memory: &impl PhysMemory, tag: Tag, sizes: &mut Option<(u64, u64)>) {
    match tag.number {
        1 => info.command_line = CommandLine::from(read_text(info, memory, "command line", tag.body, 0)),
        2 => info.loader = read_text(info, memory, "boot loader name", tag.body, 0),
        3 => read_module(info, memory, tag.body),
        4 => {
            *sizes = read_part(info, memory, tag.body)
                .map(|tag: Record<8>| (tag.u32(0).into(), tag.u32(4).into()));
        }
        6 => read_memory_map(info, memory, tag.body),
        // The tags of the old and the new ACPI hold a copy of the root pointer structure.
        14 if info.rsdp.is_some() => {}
        14 | 15 if tag.body.len() >= RSDP_LENGTH => info.rsdp = Some(tag.body.start()),
        14 | 15 => info.notes.push(BootNote::CutShort { what: "RSDP" }),
        _ => {}
    }
}

/// The first `N` bytes of a tag's body.
fn read_part<const N: usize>(
    info: &mut BootInfo,
    memory: &impl PhysMemory,
    body: PhysRange,
) -> Option<Record<N>> {
    let part = if body.len() < as_u64(N) { None } else { Record::read(memory, body.start()) };
    if part.is_none() {
        info.notes.push(BootNote::CutShort { what: "Multiboot2 tag" });
    }
    part
}

/// The text in `body` after its first `skip` bytes.
fn read_text<const N: usize>(
    info: &mut BootInfo,
    memory: &impl PhysMemory,
    what: &'static str,
    body: PhysRange,
    skip: u64,
) -> Text<N> {
    let address = body.start().saturating_add(skip);
    let Some(text) = Text::read(memory, address, body.end().saturating_sub(address)) else {
        info.notes.push(BootNote::Unreadable { what, address });
        return Text::new();
    };
    info.judge_text(what, text)
}

fn read_module(info: &mut BootInfo, memory: &impl PhysMemory, body: PhysRange) {
    let Some(module) = read_part::<8>(info, memory, body) else { return };
    let text = read_text(info, memory, "module command line", body, 8);
    info.add_module_until(module.u32(0).into(), module.u32(4).into(), text);
}

fn read_memory_map(info: &mut BootInfo, memory: &impl PhysMemory, body: PhysRange) {
    const MAP_HEAD: u64 = 8;
    const MIN_ENTRY: u64 = 20;
    let Some(head) = read_part::<8>(info, memory, body) else { return };
    let size = u64::from(head.u32(0));
    let (Some(count), MIN_ENTRY..) = (body.len().saturating_sub(MAP_HEAD).checked_div(size), size) else {
        return info.notes.push(BootNote::CutShort { what: MEMORY_MAP });
    };
    let first = body.start().saturating_add(MAP_HEAD);
    for index in 0..info.bound_map_entries(count) {
        let address = first.saturating_add(index.saturating_mul(size));
        let Some(entry) = Record::<20>::read(memory, address) else {
            return info.notes.push(BootNote::Unreadable { what: MEMORY_MAP, address });
        };
        info.add_memory(entry.u64(0), entry.u64(8), Kind::from_acpi(entry.u32(16)));
    }
}
