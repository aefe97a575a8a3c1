// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks `memcpy` and its like at all lengths that they treat differently.

use core::hint::black_box;

/// Bytes of the places that are copied from and to.
const ROOM: usize = 512;
/// The longest piece.
const LONGEST: usize = 200;
/// Places that a piece begins at, relative to a multiple of 16.
const STARTS: [usize; 5] = [0, 1, 7, 15, 16];
/// What is moved within a place, and where to.
const DISTANCES: [isize; 9] = [-100, -33, -16, -1, 0, 1, 16, 33, 100];

type Place = [u8; ROOM];

/// Numbers that differ from their neighbours'.
fn pattern() -> Place {
    core::array::from_fn(|index| (index * 31 % 251) as u8)
}

/// What should be in `place` where `piece` says something, byte by byte: not by what is tested.
fn expected(place: &Place, piece: impl Fn(usize) -> Option<u8>) -> Place {
    let mut result = *place;
    for (index, byte) in result.iter_mut().enumerate() {
        *byte = black_box(piece(index).unwrap_or(*byte));
    }
    result
}

fn same(a: &Place, b: &Place) -> bool {
    a.iter().zip(b).all(|(a, b)| black_box(a) == black_box(b))
}

/// The calls that went wrong.
pub(crate) fn faults() -> usize {
    let from = pattern();
    let mut faults = 0;
    for length in (0..=LONGEST).map(black_box) {
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
        faults += DISTANCES.into_iter().filter(|distance| !is_moved(length, *distance)).count();
        faults += (0..length).filter(|place| !is_compared(length, *place)).count();
    }
    faults
}

/// Whether so many bytes are moved so far, over themselves.
fn is_moved(length: usize, distance: isize) -> bool {
    const START: usize = 150;
    let mut place = pattern();
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
    let a = pattern();
    let mut b = a;
    let (a, b) = (&a[1..1 + length], &mut b[1..1 + length]);
    let equal = a == b && a.cmp(b).is_eq();
    b[place..].iter_mut().for_each(|byte| *byte = black_box(!*byte));
    let order = a[place].cmp(&b[place]);
    equal && a != b && a.cmp(b) == order
}
