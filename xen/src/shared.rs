// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that somebody else may write at any moment: Xen, a backend, another domain.
//!
//! A Rust reference to such memory would be unsound: it promises that nothing changes underneath. And a value
//! that is read twice may change after it was checked. So everything that is shared is a [`Shared`]: it is
//! copied out once, checked, and used; or it is an atomic, for the few words by which two sides synchronize.
//! XSA-155 tells what other kernels got wrong here.
//!
//! ```
//! use core::mem::offset_of;
//! use core::sync::atomic::Ordering;
//! use xen::shared::Shared;
//! use xen_sys::io::console::xencons_interface;
//!
//! let mut page = Box::new([0u64; 512]);
//! let address = (&raw mut *page).expose_provenance() as u64;
//! // SAFETY: a page of memory, aligned, that nothing else uses while `ring` lives.
//! let ring = unsafe { Shared::<xencons_interface>::at(address) };
//!
//! let letter = ring.field::<u8>(offset_of!(xencons_interface, r#in)).unwrap();
//! letter.write(b'x');
//! let produced = ring.field::<u32>(offset_of!(xencons_interface, in_prod)).unwrap();
//! produced.atomic().store(1, Ordering::Release); // the letter first, then the word that says so
//! assert_eq!(letter.read(), b'x');
//!
//! assert!(ring.field::<u32>(4094).is_none(), "outside");
//! ```
//!
//! Only what any bytes are a value of can be asked for; the other side may write any:
//!
//! ```compile_fail
//! # let mut word = 7u64;
//! # let shared = unsafe { xen::shared::Shared::at((&raw mut word).expose_provenance() as u64) };
//! # let _: xen::shared::Shared<u64> = shared;
//! let answer = shared.field::<bool>(0); // what if there is a 7?
//! ```

use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::__m128i;
use core::mem::{MaybeUninit, transmute};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use volatile::VolatilePtr;
use xen_sys::event_channel::evtchn_fifo_control_block;
use xen_sys::xen::{shared_info, vcpu_info, vcpu_time_info};

/// What any bytes are a value of.
///
/// # Safety
///
/// The type has integers in it and nothing else, with or without gaps between them: no `bool`, no
/// `char`, no enumeration, no reference.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($type:ty)*) => { $(
        // SAFETY: an integer, or a structure of xen-sys, which are of integers only.
        unsafe impl Plain for $type {}
    )* };
}

plain!(u8 u16 u32 u64 i8 i16 i32 i64 vcpu_time_info vcpu_info shared_info evtchn_fifo_control_block);

// SAFETY: any bytes are a value of each element.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// A `T` in memory shared with another party, accessed by copy only.
///
/// No Rust reference to the memory exists; each [`read`](Self::read) is one volatile copy, which
/// is then private and can be checked without changing under the check.
pub struct Shared<T> {
    place: NonNull<T>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: a Shared only ever copies whole values in and out; the other side races with us anyway,
// and every T used here is plain integers, for which any bit pattern is a value.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; there is no state in the pointer itself.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// The `T` at `address`.
    ///
    /// # Safety
    ///
    /// `address` is aligned for `T`, and mapped for reading and writing for as long as the value
    /// or one made from it lives; nothing in this program holds a reference to that memory; any
    /// bit pattern is a valid `T`.
    ///
    /// # Panics
    ///
    /// If `address` is zero or unaligned: a bug of ours, never the other party's doing.
    #[allow(clippy::panic, reason = "documented: a null or unaligned page is a bug of ours")]
    pub unsafe fn at(address: u64) -> Self {
        let place = core::ptr::with_exposed_provenance_mut::<T>(address as usize);
        match NonNull::new(place) {
            Some(place) if place.is_aligned() => Self { place },
            _ => panic!("shared memory at {address:#x}"),
        }
    }

    /// A copy of the whole value.
    pub fn read(self) -> T {
        self.volatile().read()
    }

    /// Overwrites the whole value.
    pub fn write(self, value: T) {
        self.volatile().write(value);
    }

    /// The field at byte `offset`, as `offset_of!` gives it; `None` if a `U` there would not lie
    /// inside the value, or not be aligned.
    pub fn field<U: Plain>(self, offset: usize) -> Option<Shared<U>> {
        if !is_inside(offset, size_of::<U>(), size_of::<T>()) {
            return None;
        }
        // SAFETY: offset lies inside the T that `at` promised.
        let place = unsafe { self.place.cast::<u8>().add(offset) }.cast::<U>();
        place.is_aligned().then_some(Shared { place })
    }

    /// Where it is: for a page that was shared once and is ours alone again.
    pub(crate) fn as_ptr(self) -> *mut T {
        self.place.as_ptr()
    }

    fn volatile<'a>(self) -> VolatilePtr<'a, T> {
        // SAFETY: `at`'s contract: valid, aligned, mapped for as long as this value is used.
        unsafe { VolatilePtr::new(self.place) }
    }
}

/// Whether `length` bytes at `offset` lie inside of `size`.
pub(crate) fn is_inside(offset: usize, length: usize, size: usize) -> bool {
    offset.checked_add(length).is_some_and(|end| end <= size)
}

/// Bytes that are copied by an instruction each: not so if the compiler is asked for a volatile copy of an
/// array of bytes, which it copies one by one.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Vector(__m128i);

// SAFETY: an integer of 128 bits, as the processor has them.
unsafe impl Plain for Vector {}

type Bytes = [u8; size_of::<Vector>()];

impl Vector {
    /// Its bytes, for memory that nothing was written to yet.
    fn uninit(self) -> [MaybeUninit<u8>; size_of::<Self>()] {
        // SAFETY: any bytes are a value of an array of them.
        unsafe { transmute(self) }
    }

    fn of(bytes: &Bytes) -> Self {
        // SAFETY: any bytes are a value, as `Plain` says.
        unsafe { transmute::<Bytes, Self>(*bytes) }
    }
}

/// Vectors that are copied in one go.
const BLOCK: usize = 4;

/// Bytes from which on a string instruction is faster than vectors.
const LONG: usize = 1024;

/// Copies 8 bytes at a time, by one instruction, and returns how many bytes that were.
///
/// # Safety
///
/// There are `bytes` bytes to be read at `from`, and to be written at `to`; the two do not overlap.
unsafe fn copy_long(from: *const u8, to: *mut u8, bytes: usize) -> usize {
    let words = bytes / size_of::<u64>();
    // SAFETY: the caller's promise; the direction flag is clear, as the ABI has it. Whatever others write
    // there meanwhile, each byte is read once: the compiler does not know what the instruction reads.
    unsafe {
        asm!(
            "rep movsq",
            inout("rcx") words => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
    words * size_of::<u64>()
}

impl<const LENGTH: usize> Shared<[u8; LENGTH]> {
    /// Copies the bytes from `offset` on; `None`, and none of them, if not all lie inside.
    pub fn copy_to(self, offset: usize, into: &mut [u8]) -> Option<()> {
        // SAFETY: the same memory, into which `fill` puts bytes only.
        self.fill(offset, unsafe { &mut *(core::ptr::from_mut(into) as *mut [MaybeUninit<u8>]) })
    }

    /// Appends the bytes from `offset` on to `into`; `None`, and none of them, if not all lie inside, or
    /// there is no memory for them.
    pub fn append_to(self, offset: usize, length: usize, into: &mut Vec<u8>) -> Option<()> {
        into.try_reserve(length).ok()?;
        self.fill(offset, into.spare_capacity_mut().get_mut(..length)?)?;
        // SAFETY: there is room for as many more, and they have just been written.
        unsafe { into.set_len(into.len() + length) };
        Some(())
    }

    /// Writes all of `into`; `None`, and nothing, if not all bytes lie inside.
    fn fill(self, offset: usize, into: &mut [MaybeUninit<u8>]) -> Option<()> {
        if !is_inside(offset, into.len(), LENGTH) {
            return None;
        }
        let (mut offset, mut into) = (offset, into);
        if into.len() >= LONG {
            // SAFETY: all of it lies inside, and nobody has a reference to this memory.
            let copied = unsafe { copy_long(self.byte(offset), into.as_mut_ptr().cast(), into.len()) };
            (offset, into) = (offset + copied, into.get_mut(copied..).unwrap_or_default());
        }
        let (vectors, rest) = into.as_chunks_mut::<{ size_of::<Vector>() }>();
        let (blocks, vectors) = vectors.as_chunks_mut::<BLOCK>();
        let offset = self.each(offset, blocks, |place: Shared<[Vector; BLOCK]>, block| {
            *block = place.read().map(Vector::uninit);
        });
        let offset =
            self.each(offset, vectors, |place: Shared<Vector>, vector| *vector = place.read().uninit());
        self.each(offset, rest, |place: Shared<u8>, byte| *byte = MaybeUninit::new(place.read()));
        Some(())
    }

    /// Overwrites the bytes from `offset` on; `None`, and none of them, if not all lie inside.
    pub fn copy_from(self, offset: usize, from: &[u8]) -> Option<()> {
        if !is_inside(offset, from.len(), LENGTH) {
            return None;
        }
        let (mut offset, mut from) = (offset, from);
        if from.len() >= LONG {
            // SAFETY: all of it lies inside, and nobody has a reference to this memory.
            let copied = unsafe { copy_long(from.as_ptr(), self.byte(offset), from.len()) };
            (offset, from) = (offset + copied, from.get(copied..).unwrap_or_default());
        }
        let (vectors, rest) = from.as_chunks::<{ size_of::<Vector>() }>();
        let (blocks, vectors) = vectors.as_chunks::<BLOCK>();
        let offset = self.each(offset, blocks, |place: Shared<[Vector; BLOCK]>, block| {
            place.write(block.each_ref().map(Vector::of));
        });
        let offset =
            self.each(offset, vectors, |place: Shared<Vector>, vector| place.write(Vector::of(vector)));
        self.each(offset, rest, |place: Shared<u8>, byte| place.write(*byte));
        Some(())
    }

    /// Where byte `offset` is.
    fn byte(self, offset: usize) -> *mut u8 {
        self.place.as_ptr().cast::<u8>().wrapping_add(offset)
    }

    /// Calls `copy` with each of `items` and its place, and returns the offset behind the last.
    fn each<T: Plain, I>(
        self,
        mut offset: usize,
        items: impl IntoIterator<Item = I>,
        copy: impl Fn(Shared<T>, I),
    ) -> usize {
        for item in items {
            if let Some(place) = self.field::<T>(offset) {
                copy(place, item);
            }
            offset += size_of::<T>();
        }
        offset
    }
}

macro_rules! atomic {
    ($integer:ty, $atomic:ty) => {
        impl Shared<$integer> {
            /// The same memory as an atomic: for indices and flags, where order matters.
            pub fn atomic(&self) -> &$atomic {
                // SAFETY: aligned and mapped by `at`'s contract; the other party's accesses are
                // atomic by the interface, and ours all go through this type or are volatile.
                unsafe { <$atomic>::from_ptr(self.place.as_ptr()) }
            }
        }
    };
}

atomic!(u8, AtomicU8);
atomic!(u16, AtomicU16);
atomic!(u32, AtomicU32);
atomic!(u64, AtomicU64);

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Pair {
        first: u32,
        second: u64,
    }

    #[test]
    fn fields_outside_the_value_or_unaligned_are_refused() {
        let mut pair = Pair { first: 1, second: 2 };
        let address = (&raw mut pair).expose_provenance() as u64;
        // SAFETY: `pair` outlives `shared`, and is not used otherwise meanwhile.
        let shared = unsafe { Shared::<Pair>::at(address) };
        assert_eq!(shared.field::<u64>(8).map(Shared::read), Some(2));
        assert!(shared.field::<u64>(16).is_none());
        assert!(shared.field::<u64>(4).is_none());
        assert!(shared.field::<u64>(usize::MAX).is_none());
        assert_eq!(shared.read().first, 1);
    }

    #[test]
    fn bytes_of_any_number_are_copied_to_and_from_any_place() {
        const LENGTH: usize = 160;
        let pattern: Vec<u8> = (1..=LENGTH as u8).collect();
        for length in 0..=LENGTH {
            for offset in 0..=LENGTH - length {
                let mut memory = [0; LENGTH];
                let address = (&raw mut memory).expose_provenance() as u64;
                // SAFETY: `memory` outlives `shared`, and is not used otherwise meanwhile.
                let shared = unsafe { Shared::<[u8; LENGTH]>::at(address) };
                let mut copy = vec![0; length];
                shared.copy_from(offset, &pattern[..length]).unwrap();
                shared.copy_to(offset, &mut copy).unwrap();
                assert_eq!(copy, pattern[..length]);
                let mut expected = [0; LENGTH];
                expected[offset..offset + length].copy_from_slice(&copy);
                assert_eq!(shared.read(), expected);
            }
        }
    }

    #[test]
    fn bytes_are_appended_all_or_none() {
        let mut memory = [0; 4096];
        memory.iter_mut().zip((0..=250).cycle()).for_each(|(byte, value)| *byte = value);
        let address = (&raw mut memory).expose_provenance() as u64;
        // SAFETY: `memory` outlives `shared`, and is not used otherwise meanwhile.
        let shared = unsafe { Shared::<[u8; 4096]>::at(address) };
        let mut into = vec![9];
        assert_eq!(shared.append_to(5, 3000, &mut into), Some(()));
        assert_eq!(shared.append_to(4000, 96, &mut into), Some(()));
        let expected = [&[9], &shared.read()[5..3005], &shared.read()[4000..]].concat();
        assert_eq!(into, expected);
        for (offset, length) in [(4000, 97), (4097, 0), (usize::MAX, 1), (0, usize::MAX)] {
            assert_eq!(shared.append_to(offset, length, &mut into), None);
        }
        assert_eq!(into, expected);
    }

    #[test]
    fn bytes_of_large_numbers_are_copied_to_and_from_any_place() {
        const LENGTH: usize = 4096;
        let pattern: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        for length in (LONG - 10..LONG + 70).chain([LENGTH - 64]) {
            for offset in (0..=20).chain([LENGTH - length]) {
                let mut memory = [0; LENGTH];
                let address = (&raw mut memory).expose_provenance() as u64;
                // SAFETY: `memory` outlives `shared`, and is not used otherwise meanwhile.
                let shared = unsafe { Shared::<[u8; LENGTH]>::at(address) };
                let mut copy = vec![0; length];
                shared.copy_from(offset, &pattern[..length]).unwrap();
                shared.copy_to(offset, &mut copy).unwrap();
                assert!(copy == pattern[..length], "{length} at {offset}");
                let mut expected = [0; LENGTH];
                expected[offset..offset + length].copy_from_slice(&copy);
                assert!(shared.read() == expected, "{length} at {offset}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_all_inside_are_not_copied() {
        let mut memory = [7_u8; 64];
        let address = (&raw mut memory).expose_provenance() as u64;
        // SAFETY: `memory` outlives `shared`, and is not used otherwise meanwhile.
        let shared = unsafe { Shared::<[u8; 64]>::at(address) };
        for (offset, length) in [(0, 65), (1, 64), (65, 0), (usize::MAX, 1)] {
            let mut copy = vec![1; length];
            assert!(shared.copy_to(offset, &mut copy).is_none());
            assert!(shared.copy_from(offset, &copy).is_none());
            assert_eq!(copy, vec![1; length]);
        }
        assert_eq!(shared.read(), [7; 64]);
    }
}
