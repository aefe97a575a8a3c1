// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages shared with a guest, by grants of either side (`xen/sys/gntdev.h`, `xen/sys/gntalloc.h`).

use std::fs::File;
use std::ptr::{NonNull, null_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::device;

/// Bytes of a page.
pub(crate) const SIZE: usize = 4096;

const GROUP: u8 = b'G';
const MAP: u8 = 0;
const UNMAP: u8 = 1;
const ALLOCATE: u8 = 5;
const WRITABLE: u16 = 1;

#[repr(C)]
struct MapReference {
    count: u32,
    pad: u32,
    index: u64,
    domain: u32,
    reference: u32,
}

#[repr(C)]
struct UnmapReference {
    index: u64,
    count: u32,
    pad: u32,
}

#[repr(C)]
struct AllocateReference {
    domain: u16,
    flags: u16,
    count: u32,
    index: u64,
    reference: u32,
}

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is read only.
    Read,
    /// It is read and written.
    ReadWrite,
}

/// A page that the guest may change at any time. The mapping ends when this is dropped.
pub(crate) struct Page {
    address: NonNull<u8>,
    device: Rc<File>,
    index: u64,
}

/// What a guest has granted, by one open device: many pages need no more files than one.
pub(crate) struct Grants {
    device: Rc<File>,
    domain: u16,
}

impl Grants {
    /// Those of `domain`.
    pub(crate) fn of(domain: u16) -> Result<Self> {
        Ok(Self { device: Rc::new(device::open("/dev/xen/gntdev")?), domain })
    }

    /// Maps the page that was granted as `reference`.
    pub(crate) fn map(&self, reference: u32, access: Access) -> Result<Page> {
        let mut map = MapReference { count: 1, pad: 0, index: 0, domain: self.domain.into(), reference };
        // SAFETY: the command takes an ioctl_gntdev_map_grant_ref with room for one reference.
        unsafe { device::command(&self.device, GROUP, MAP, &mut map)? };
        let mapped = Page::map(Rc::clone(&self.device), map.index, access);
        mapped.with_context(|| {
            let mut unmap = UnmapReference { index: map.index, count: 1, pad: 0 };
            // SAFETY: the command takes an ioctl_gntdev_unmap_grant_ref.
            let _ = unsafe { device::command(&self.device, GROUP, UNMAP, &mut unmap) };
            format!("cannot map grant {reference} of domain {}", self.domain)
        })
    }
}

impl Page {
    /// Maps the page that `domain` granted as `reference`.
    pub(crate) fn of_guest(domain: u16, reference: u32, access: Access) -> Result<Self> {
        Grants::of(domain)?.map(reference, access)
    }

    /// Makes a page that `domain` may use, and gives its reference too.
    pub(crate) fn for_guest(domain: u16, access: Access) -> Result<(Self, u32)> {
        let device = device::open("/dev/xen/gntalloc")?;
        let flags = if access == Access::ReadWrite { WRITABLE } else { 0 };
        let mut allocate = AllocateReference { domain, flags, count: 1, index: 0, reference: 0 };
        // SAFETY: the command takes an ioctl_gntalloc_alloc_gref with room for one reference.
        unsafe { device::command(&device, GROUP, ALLOCATE, &mut allocate)? };
        Ok((Self::map(Rc::new(device), allocate.index, Access::ReadWrite)?, allocate.reference))
    }

    fn map(device: Rc<File>, index: u64, access: Access) -> Result<Self> {
        let rights = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: the kernel chooses the addresses.
        let address = unsafe { mmap(null_mut(), SIZE, rights, MapFlags::SHARED, &*device, index) };
        let address = NonNull::new(address.context("cannot map a page")?.cast());
        Ok(Self { address: address.context("the page is at address zero")?, device, index })
    }

    /// The word at byte `offset`, a multiple of four inside the page.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset < SIZE, "no word is at {offset}");
        // SAFETY: inside the page.
        let place = unsafe { self.address.add(offset) };
        // SAFETY: aligned, mapped as long as `self` lives, and accessed by atomic operations only.
        unsafe { place.cast().as_ref() }
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        assert!(offset < SIZE, "no byte is at {offset}");
        // SAFETY: inside the page.
        let place = unsafe { self.address.add(offset) };
        // SAFETY: mapped as long as `self` lives, and accessed by atomic operations only.
        unsafe { place.cast().as_ref() }
    }

    /// Eight bytes at once, for copies of whole sectors: emulated processors are slow.
    fn eight(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset < SIZE, "no eight bytes are at {offset}");
        // SAFETY: inside the page.
        let place = unsafe { self.address.add(offset) };
        // SAFETY: aligned, mapped as long as `self` lives, and accessed by atomic operations only.
        unsafe { place.cast().as_ref() }
    }

    /// Copies from byte `offset` on.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let whole = if offset.is_multiple_of(8) { into.len() / 8 * 8 } else { 0 };
        let (words, bytes) = into.split_at_mut(whole);
        for (at, word) in (offset..).step_by(8).zip(words.as_chunks_mut().0) {
            *word = self.eight(at).load(Ordering::Relaxed).to_ne_bytes();
        }
        for (at, byte) in (offset + whole..).zip(bytes) {
            *byte = self.byte(at).load(Ordering::Relaxed);
        }
    }

    /// Copies to byte `offset` and on. The page must be mapped for writing.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        let whole = if offset.is_multiple_of(8) { from.len() / 8 * 8 } else { 0 };
        let (words, bytes) = from.split_at(whole);
        for (at, word) in (offset..).step_by(8).zip(words.as_chunks().0) {
            self.eight(at).store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        for (at, byte) in (offset + whole..).zip(bytes) {
            self.byte(at).store(*byte, Ordering::Relaxed);
        }
    }

    /// The text at the start of the page, up to the first zero.
    pub(crate) fn text(&self) -> String {
        let mut bytes = [0; SIZE];
        self.read(0, &mut bytes);
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and not used any more.
        let unmapped = unsafe { munmap(self.address.as_ptr().cast(), SIZE) };
        assert!(unmapped.is_ok(), "a page of our own was not unmapped");
        let mut unmap = UnmapReference { index: self.index, count: 1, pad: 0 };
        // SAFETY: takes an ioctl_gntdev_unmap_grant_ref; the other device does not know the command,
        // and frees its page when the file is closed.
        let _ = unsafe { device::command(&self.device, GROUP, UNMAP, &mut unmap) };
    }
}
