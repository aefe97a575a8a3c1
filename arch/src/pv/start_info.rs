// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page in which the toolstack tells a PV domain of itself, at boot and after each restore
//! (`struct start_info` of `xen/include/public/xen.h`).

use core::mem::{MaybeUninit, offset_of};

use xen_sys::xen::start_info;

/// How many words the structure has.
const WORDS: usize = size_of::<start_info>() / size_of::<u64>();
const _: () = assert!(size_of::<start_info>().is_multiple_of(size_of::<u64>()));
const _: () = assert!(align_of::<start_info>() == align_of::<u64>());

/// The page.
#[derive(Clone, Copy)]
pub(super) struct StartInfo(u64);

/// The frames of the rings of xenstore and console.
#[derive(Clone, Copy)]
pub(super) struct StoreAndConsole {
    store: u64,
    console: u64,
}

impl StoreAndConsole {
    /// Those that `info` names.
    pub(super) fn of(info: &start_info) -> Self {
        Self { store: info.store_mfn, console: info.console.mfn }
    }

    /// The same frames in other numbers.
    pub(super) fn map(self, number: impl Fn(u64) -> u64) -> Self {
        Self { store: number(self.store), console: number(self.console) }
    }
}

impl StartInfo {
    /// The page at `address`.
    ///
    /// # Safety
    ///
    /// It holds a `start_info`, stays mapped for reading and writing, and is used for nothing else.
    pub(super) unsafe fn at(address: u64) -> Self {
        Self(address)
    }

    /// Its address.
    pub(super) fn address(self) -> u64 {
        self.0
    }

    /// What it says now. Word by word, and in one place: of a volatile read of the whole structure the
    /// compiler makes an instruction for each byte of the command line.
    #[inline(never)]
    pub(super) fn read(&self) -> start_info {
        let words = core::ptr::with_exposed_provenance::<u64>(self.0 as usize);
        let mut copy = MaybeUninit::<start_info>::uninit();
        let target = copy.as_mut_ptr().cast::<u64>();
        for index in 0..WORDS {
            // SAFETY: `at` promises that it is there; the toolstack writes only while the domain does not
            // run.
            let word = unsafe { words.wrapping_add(index).read_volatile() };
            // SAFETY: inside of the copy, which is as large and as aligned.
            unsafe { target.wrapping_add(index).write(word) };
        }
        // SAFETY: all of it has been written, and a `start_info` consists of numbers, which may be any.
        unsafe { copy.assume_init() }
    }

    /// Names these frames.
    pub(super) fn set_rings(self, rings: StoreAndConsole) {
        self.write(offset_of!(start_info, store_mfn), rings.store);
        self.write(offset_of!(start_info, console.mfn), rings.console);
    }

    fn write(self, offset: usize, value: u64) {
        let pointer = core::ptr::with_exposed_provenance_mut::<u64>(self.0 as usize + offset);
        // SAFETY: a field of the structure that `at` promises.
        unsafe { pointer.write_volatile(value) }
    }
}
