// SPDX-License-Identifier: MIT OR Apache-2.0
//! The check behind every structure of this crate, and the value zero for all of them.

/// The all-zero value of a type that is made of integers only.
///
/// `Default` would do, but the standard library stops at arrays of 32.
pub(crate) trait Zero: Copy {
    const ZERO: Self;
}

macro_rules! zero_integers {
    ($($integer:ty)*) => { $(impl Zero for $integer { const ZERO: Self = 0; })* };
}
zero_integers!(u8 u16 u32 u64 i8 i16 i32 i64);

impl<T: Zero, const N: usize> Zero for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// Size in bytes of the field that `_projection` borrows.
pub(crate) const fn field_size<T, F>(_projection: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Stops the build unless a structure has this size and these offsets.
///
/// It also demands that every field is listed, in order, and that no byte lies between two fields
/// or after the last: padding is a named field. So a structure can be copied to memory shared with
/// another domain without carrying along what happened to be on the stack.
macro_rules! layout {
    ($name:ident: $size:literal { $($field:ident: $offset:literal),* $(,)? }) => {
        const _: () = {
            let mut end = 0;
            $(
                assert!(core::mem::offset_of!($name, $field) == $offset);
                assert!(end == $offset, "unnamed padding before a field");
                end = $offset + $crate::layout::field_size(|value: &$name| &value.$field);
            )*
            assert!(end == $size, "unnamed padding at the end");
            assert!(size_of::<$name>() == $size);
        };

        impl $crate::layout::Zero for $name {
            const ZERO: Self = Self { $($field: $crate::layout::Zero::ZERO),* };
        }

        impl Default for $name {
            /// All bytes zero.
            fn default() -> Self {
                $crate::layout::Zero::ZERO
            }
        }
    };
}
