// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tests write to disks, and read back.

use alloc::vec;
use alloc::vec::Vec;

use xen::fake::{FakePage, FakeXen};

use super::{Buffer, Request};

/// Where a test's pages come from.
pub(crate) trait Pages {
    fn page(&self) -> FakePage;
}

impl Pages for FakeXen {
    fn page(&self) -> FakePage {
        Self::page(self)
    }
}

/// A byte by its place: sectors differ, too.
pub(crate) fn pattern(index: usize) -> u8 {
    (index / 512 * 7 + index) as u8
}

/// A buffer with the bytes that `fill` says.
pub(crate) fn buffer(pages: &impl Pages, length: usize, fill: impl Fn(usize) -> u8) -> Buffer<FakePage> {
    let mut buffer = Buffer::new(length, || Some(pages.page())).unwrap();
    let bytes: Vec<u8> = (0..length).map(fill).collect();
    buffer.copy_from(&bytes);
    buffer
}

/// The request to read so many bytes.
pub(crate) fn read(pages: &impl Pages, offset: u64, length: usize) -> Request<FakePage> {
    Request::Read { offset, buffer: buffer(pages, length, |_| 0) }
}

/// What is in a buffer.
pub(crate) fn contents(buffer: &Buffer<FakePage>) -> Vec<u8> {
    let mut bytes = vec![0; buffer.length()];
    buffer.copy_to(&mut bytes);
    bytes
}
