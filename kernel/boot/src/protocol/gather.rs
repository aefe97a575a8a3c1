// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all parsers share: recording one claim of the loader in [`BootInfo`], or noting why not.

use crate::bytes::as_u64;
use crate::{BootInfo, BootNote, CommandLine, Kind, MAPPED_LIMIT, Module, PhysMemory, PhysRange, Text};

/// Entries of a memory map that are looked at.
const MAP_ENTRIES: u64 = 1024;

impl BootInfo {
    /// Keeps the allocator off `length` bytes at `start`.
    pub(super) fn reserve(&mut self, what: &'static str, start: u64, length: u64) {
        match PhysRange::with_length(start, length) {
            Some(range) if range.is_empty() => {}
            Some(range) => self.reserved.add(range, Kind::Reserved),
            None => self.notes.push(BootNote::AbsurdRange { what, start, length }),
        }
    }

    /// Adds one entry of the memory map, of which no usable memory is taken where it cannot be mapped.
    pub(crate) fn add_memory(&mut self, start: u64, length: u64, kind: Kind) {
        let Some(range) = PhysRange::with_length(start, length) else {
            return self.notes.push(BootNote::AbsurdRange { what: "memory map entry", start, length });
        };
        if self.memory.overlaps(range.inward()) {
            self.notes.push(BootNote::Overlap { start, length });
        }
        let reach = if kind == Kind::Usable { range.up_to(MAPPED_LIMIT) } else { range };
        if reach != range {
            self.notes.push(BootNote::OutOfReach { start, length });
        }
        self.memory.add(reach, kind);
    }

    /// Number of memory map entries to look at where there are `count`.
    pub(super) fn bound_map_entries(&mut self, count: u64) -> u64 {
        self.bound("memory map entries", count, MAP_ENTRIES)
    }

    /// Number of modules to look at where there are `count`.
    pub(super) fn bound_modules(&mut self, count: u64) -> u64 {
        let limit = as_u64(self.modules.capacity());
        self.bound("modules", count, limit)
    }

    fn bound(&mut self, what: &'static str, count: u64, limit: u64) -> u64 {
        if count > limit {
            self.notes.push(BootNote::TooMany { what, count, limit });
        }
        count.min(limit)
    }

    /// Adds a module and keeps the allocator off it; empty ones are left out.
    pub(super) fn add_module(&mut self, start: u64, length: u64, command_line: Text<128>) {
        const WHAT: &str = "module";
        let Some(range) = PhysRange::with_length(start, length) else {
            return self.notes.push(BootNote::AbsurdRange { what: WHAT, start, length });
        };
        if range.is_empty() {
            return;
        }
        if self.modules.try_push(Module { range, command_line }).is_ok() {
            self.reserved.add(range, Kind::Reserved);
        }
    }

    /// Adds the module from `start` up to `end`; a backwards one comes out absurdly long.
    pub(super) fn add_module_until(&mut self, start: u64, end: u64, command_line: Text<128>) {
        self.add_module(start, end.wrapping_sub(start), command_line);
    }

    /// Adds what Multiboot tells without a map: KiB of memory from 0, and from 1 MiB.
    pub(super) fn add_memory_sizes(&mut self, lower: u64, upper: u64) {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        if lower != 0 || upper != 0 {
            self.notes.push(BootNote::SizesOnly);
            self.add_memory(0, lower.saturating_mul(KIB).min(MIB), Kind::Usable);
            self.add_memory(MIB, upper.saturating_mul(KIB), Kind::Usable);
        }
    }

    /// Reads the text at `address` (0: there is none) and keeps the allocator off it.
    pub(super) fn read_text<const N: usize>(
        &mut self,
        memory: &impl PhysMemory,
        what: &'static str,
        address: u64,
    ) -> Text<N> {
        if address == 0 {
            return Text::new();
        }
        let Some(text) = Text::read(memory, address, u64::MAX) else {
            self.notes.push(BootNote::Unreadable { what, address });
            return Text::new();
        };
        let length = as_u64(text.len()).saturating_add(1);
        self.reserve(what, address, length);
        self.judge_text(what, text)
    }

    /// Notes what is odd about a text.
    pub(super) fn judge_text<const N: usize>(&mut self, what: &'static str, text: Text<N>) -> Text<N> {
        if text.truncated() {
            self.notes.push(BootNote::TextTruncated { what, limit: N });
        }
        if text.replaced() {
            self.notes.push(BootNote::TextReplaced { what });
        }
        text
    }

    /// Reads the kernel's command line.
    pub(super) fn read_command_line(&mut self, memory: &impl PhysMemory, address: u64) {
        self.command_line = CommandLine::from(self.read_text(memory, "command line", address));
    }

    /// Notes what is odd about the memory map as a whole; to be called when it is complete.
    pub(crate) fn judge_memory(&mut self) {
        if self.memory.is_empty() {
            self.notes.push(BootNote::NoMemoryMap);
        }
        if self.memory.overflowed() {
            self.notes.push(BootNote::MapOverflowed);
        }
    }
}
