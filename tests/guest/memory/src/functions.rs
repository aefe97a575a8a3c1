// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks `memcpy` and its like at all lengths that they treat differently.

use core::hint::black_box;
use core::ops::RangeInclusive;

/// Lengths of pieces, and of some around that from which on they are copied by one instruction, with bytes of
/// the places that are copied from and to.
const SHORT: (RangeInclusive<usize>, usize) = (0..=200, 512);
const LONG: (RangeInclusive<usize>, usize) = (1015..=1033, 1400);
/// Places that a piece begins at, relative to a multiple of 16.
const STARTS: [usize; 5] = [0, 1, 7, 15, 16];
/// What is moved within a place, and where to.
const DISTANCES: [isize; 9] = [-100, -33, -16, -1, 0, 1, 16, 33, 100];

type Place<const ROOM: usize> = [u8; ROOM];

/// Numbers that differ from their neighbours'.
fn pattern<const ROOM: usize>() -> Place<ROOM> {
    core::array::from_fn(|index| (index * 31 % 251) as u8)
}

/// What should be in `place` where `piece` says something, byte by byte: not by what is tested.
fn expected<const ROOM: usize>(place: &Place<ROOM>, piece: impl Fn(usize) -> Option<u8>) -> Place<ROOM> {
    let mut result = *place;
    for (index, byte) in result.iter_mut().enumerate() {
        *byte = black_box(piece(index).unwrap_or(*byte));
    }
    result
}

fn same<const ROOM: usize>(a: &Place<ROOM>, b: &Place<ROOM>) -> bool {
    a.iter().zip(b).all(|(a, b)| black_box(a) == black_box(b))
}

/// The calls that went wrong.
pub(crate) fn faults() -> usize {
    let compared = |length| (0..length).filter(|place| !is_compared(length, *place)).count();
    moved::<{ SHORT.1 }>(SHORT.0)
        + moved::<{ LONG.1 }>(LONG.0)
        + SHORT.0.map(black_box).map(compared).sum::<usize>()
}

/// The calls that went wrong with pieces of such lengths, in places of so many bytes.
fn moved<const ROOM: usize>(lengths: RangeInclusive<usize>) -> usize {
    let from = pattern::<ROOM>();
    let mut faults = 0;
    for length in lengths.map(black_box) {
        for (start, to) in STARTS.into_iter().flat_map(|start| STARTS.map(|to| (start, to))) {
            let mut place = [0xee; ROOM];
            let wanted = expected(&place, |index| {
                let within = index.checked_sub(to).filter(|index| *index < length)?;
                from.get(start + within).copied()
            });
            place[to..to + length].copy_from_slice(&from[start..start + length]);
            faults += usize::from(!same(&place, &wanted));
            let wanted = expected(&place, |index| (to..to + length).contains(&index).then_some(length as u8));
            place[to..to + length].fill(length as u8);
            faults += usize::from(!same(&place, &wanted));
        }
        faults += DISTANCES.into_iter().filter(|distance| !is_moved::<ROOM>(length, *distance)).count();
    }
    faults
}

/// Whether so many bytes are moved so far, over themselves.
fn is_moved<const ROOM: usize>(length: usize, distance: isize) -> bool {
    const START: usize = 150;
    let mut place = pattern::<ROOM>();
    let to = START.saturating_add_signed(distance);
    let wanted = expected(&place, |index| {
        let within = index.checked_sub(to).filter(|index| *index < length)?;
        place.get(START + within).copied()
    });
    place.copy_within(START..START + length, to);
    same(&place, &wanted)
}

/// Whether two pieces that differ from byte `place` on are found to.
fn is_compared(length: usize, place: usize) -> bool {
    let a = pattern::<{ SHORT.1 }>();
    let mut b = a;
    let (a, b) = (&a[1..1 + length], &mut b[1..1 + length]);
    let equal = a == b && a.cmp(b).is_eq();
    b[place..].iter_mut().for_each(|byte| *byte = black_box(!*byte));
    let order = a[place].cmp(&b[place]);
    equal && a != b && a.cmp(b) == order
}
