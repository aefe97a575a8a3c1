// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that somebody else may write at any moment: Xen, a backend, another domain.
//!
//! A Rust reference to such memory would be a lie: it promises that nothing changes underneath. And
//! a value that is looked at twice may have changed in between, behind a check. So everything that is
//! shared is a [`Shared`]: copied out once, checked, and used; or an atomic, for the few words by
//! which two sides come to terms. What other kernels got wrong here is told by Xen's advisory XSA-155.
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
        let end = offset.checked_add(size_of::<U>())?;
        if end > size_of::<T>() {
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
}
