// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers of requests: whole pages that a disk reads into and writes from.

use alloc::vec::Vec;
use core::fmt;

use crate::hal::{PAGE_SIZE, Page};

/// Bytes in whole pages of their own, which a device can use as they are: page aligned, and shared
/// with nothing else (XSA-403). The pages need not be neighbours.
pub struct Buffer<P> {
    /// All of them full but the last.
    pages: Vec<P>,
    length: usize,
    content: Content,
}

/// What is known of what pages hold, which a device is perhaps not to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Zeros: they are fresh.
    Zero,
    /// Zeros behind the last byte of the buffer.
    Own,
    /// Anything.
    Unknown,
}

impl<P: Page> Buffer<P> {
    /// A buffer without bytes.
    pub const fn empty() -> Self {
        Self { pages: Vec::new(), length: 0, content: Content::Zero }
    }

    /// A buffer of `length` bytes in pages that `page` makes, as [`Platform::page`] does; `None` if
    /// it has none left. They are all zero.
    ///
    /// [`Platform::page`]: crate::hal::Platform::page
    pub fn new(length: usize, mut page: impl FnMut() -> Option<P>) -> Option<Self> {
        let mut pages = Vec::new();
        let count = length.div_ceil(PAGE_SIZE);
        pages.try_reserve_exact(count).ok()?;
        for _ in 0..count {
            pages.push(page()?);
        }
        Some(Self { pages, length, content: Content::Zero })
    }

    /// Number of bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes, page by page: 4096 in each but the last.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let lengths = lengths(self.length);
        self.pages.iter().zip(lengths).filter_map(|(page, length)| page.bytes().get(..length))
    }

    /// The bytes, page by page, to be changed.
    pub fn pieces_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        if self.content == Content::Zero {
            self.content = Content::Own;
        }
        let lengths = lengths(self.length);
        self.pages.iter_mut().zip(lengths).filter_map(|(page, length)| page.bytes_mut().get_mut(..length))
    }

    /// Copies bytes out, from the start, as many as both have.
    pub fn copy_to(&self, bytes: &mut [u8]) {
        self.read_at(0, bytes);
    }

    /// Copies bytes out from byte `offset`, as many as both have.
    pub fn read_at(&self, mut offset: usize, mut bytes: &mut [u8]) {
        for piece in self.pieces() {
            let Some(piece) = piece.get(offset..) else {
                offset -= piece.len();
                continue;
            };
            offset = 0;
            let length = piece.len().min(bytes.len());
            let (now, later) = core::mem::take(&mut bytes).split_at_mut(length);
            now.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            bytes = later;
        }
    }

    /// Copies bytes in, from the start, as many as both have.
    pub fn copy_from(&mut self, bytes: &[u8]) {
        self.write_at(0, bytes);
    }

    /// Copies bytes in at byte `offset`, as many as both have.
    pub fn write_at(&mut self, mut offset: usize, mut bytes: &[u8]) {
        for piece in self.pieces_mut() {
            let whole = piece.len();
            let Some(piece) = piece.get_mut(offset..) else {
                offset -= whole;
                continue;
            };
            offset = 0;
            let length = piece.len().min(bytes.len());
            let (now, later) = bytes.split_at(length);
            piece.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            bytes = later;
        }
    }

    /// Takes the buffer apart: its pages, and how many bytes there are in them.
    pub fn into_pages(self) -> (Vec<P>, usize) {
        (self.pages, self.length)
    }

    /// Puts a buffer together; bytes for which there is no page are left out.
    pub fn from_pages(pages: Vec<P>, length: usize) -> Self {
        let length = length.min(pages.len().saturating_mul(PAGE_SIZE));
        Self { pages, length, content: Content::Unknown }
    }

    /// What is known of what the pages hold.
    pub(crate) fn content(&self) -> Content {
        self.content
    }

    /// The same buffer, whose pages hold this.
    pub(crate) fn holding(self, content: Content) -> Self {
        Self { content, ..self }
    }
}

/// How many of `length` bytes are in each page.
fn lengths(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(PAGE_SIZE).map(move |start| PAGE_SIZE.min(length - start))
}

impl<P> fmt::Debug for Buffer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use xen::fake::FakeXen;

    use super::*;

    #[test]
    fn bytes_go_in_and_come_out_across_pages() {
        let xen = FakeXen::new();
        let mut buffer = Buffer::new(5000, || Some(xen.page())).unwrap();
        assert_eq!(buffer.pieces().map(<[u8]>::len).collect::<Vec<_>>(), [4096, 904]);
        let bytes: Vec<u8> = (0..5000).map(|index| (index % 251) as u8).collect();
        buffer.copy_from(&bytes);
        let mut out = vec![0; 6000];
        buffer.copy_to(&mut out);
        assert_eq!(out[..5000], bytes);
        assert_eq!(out[5000..], [0; 1000]);
    }

    #[test]
    fn a_buffer_without_bytes_needs_no_page() {
        let buffer = Buffer::<xen::fake::FakePage>::new(0, || None).unwrap();
        assert!(buffer.is_empty() && buffer.pieces().next().is_none());
    }

    #[test]
    fn without_memory_there_is_no_buffer() {
        let xen = FakeXen::new();
        let mut pages = 2;
        let page = || (pages > 0).then(|| (pages -= 1, xen.page()).1);
        assert!(Buffer::new(3 * PAGE_SIZE, page).is_none());
    }
}
