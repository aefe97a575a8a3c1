// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address ranges of the image's parts, from symbols of the linker script.

use core::ops::Range;

unsafe extern "C" {
    static __image_start: u8;
    static __rodata_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __ksyms_start: u8;
}

/// The three segments, in the order of their addresses. All bounds are page aligned.
#[derive(Clone, Debug)]
pub struct Image {
    /// Constants: readable.
    pub rodata: Range<u64>,
    /// Code: readable and executable.
    pub text: Range<u64>,
    /// Variables: readable and writable.
    pub data: Range<u64>,
    /// Symbol table: readable. Starts behind `data`; its end is written in itself, and rounded
    /// up to a page here.
    pub symbols: Range<u64>,
}

impl Image {
    /// From the first to the last byte of all segments.
    pub fn range(&self) -> Range<u64> {
        self.rodata.start..self.symbols.end
    }
}

/// The symbol table's own header: magic, number of blocks, bytes behind them.
#[repr(C)]
struct SymbolHeader {
    magic: [u8; 8],
    blocks: u32,
    rest: u32,
}

/// An empty table; whoever finishes the image replaces the segment that it lies in.
#[used]
#[unsafe(link_section = ".ksyms")]
static EMPTY_SYMBOLS: SymbolHeader = SymbolHeader { magic: *b"PRSMSYM2", blocks: 0, rest: 0 };

/// The image that is running.
pub fn image() -> Image {
    let symbols = symbols();
    let symbols_start = symbols.as_ptr().addr() as u64;
    Image {
        rodata: (&raw const __image_start).addr() as u64..(&raw const __rodata_end).addr() as u64,
        text: (&raw const __text_start).addr() as u64..(&raw const __text_end).addr() as u64,
        data: (&raw const __data_start).addr() as u64..(&raw const __data_end).addr() as u64,
        symbols: symbols_start..(symbols_start + symbols.len() as u64).next_multiple_of(4096),
    }
}

/// The symbol table's bytes, as laid down by the tool that finished the image.
pub fn symbols() -> &'static [u8] {
    let start = &raw const __ksyms_start;
    // SAFETY: the linker script puts EMPTY_SYMBOLS, or the table that replaced it, at this symbol.
    let header = unsafe { start.cast::<SymbolHeader>().read_volatile() };
    let bytes = size_of::<SymbolHeader>() + header.blocks as usize * 8 + header.rest as usize;
    // SAFETY: the segment holds the whole table; nothing writes to it (it is mapped read-only).
    unsafe { core::slice::from_raw_parts(start, bytes) }
}
