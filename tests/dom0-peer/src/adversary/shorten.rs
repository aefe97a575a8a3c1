// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shortens a list that fails: delta debugging (A. Zeller, R. Hildebrandt, "Simplifying and Isolating
//! Failure-Inducing Input", 2002), which needs nothing but an answer to "does this one fail, too?".

/// A part of `list` that fails, and of which no single element can be left out. `list` itself fails.
///
/// # Errors
///
/// The first one of `fails`.
pub(crate) fn shorten<T: Clone, E>(
    list: &[T],
    mut fails: impl FnMut(&[T]) -> Result<bool, E>,
) -> Result<Vec<T>, E> {
    let mut list = list.to_vec();
    let mut parts = 2;
    while list.len() > 1 {
        let size = list.len().div_ceil(parts);
        let mut shorter = None;
        for start in (0..list.len()).step_by(size) {
            let end = list.len().min(start + size);
            let without = [&list[..start], &list[end..]].concat();
            if !without.is_empty() && fails(&without)? {
                shorter = Some(without);
                break;
            }
        }
        match shorter {
            Some(without) => {
                list = without;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(list.len()),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Shortens 0..100, which fails with all of `needed`; and how often it was tried.
    fn shortened(needed: &[u32]) -> (Vec<u32>, u32) {
        let mut tries = 0;
        let list: Vec<u32> = (0..100).collect();
        let fails = |list: &[u32]| {
            tries += 1;
            Ok::<_, Infallible>(needed.iter().all(|number| list.contains(number)))
        };
        (shorten(&list, fails).unwrap(), tries)
    }

    #[test]
    fn what_is_needed_is_left_in_its_order() {
        for needed in [&[0_u32][..], &[99], &[3, 50], &[0, 99], &[10, 11, 12, 77]] {
            let (left, tries) = shortened(needed);
            assert_eq!(left, needed);
            assert!(tries < 150, "{tries} tries for {needed:?}");
        }
    }

    #[test]
    fn a_list_of_which_all_is_needed_stays() {
        let all: Vec<u32> = (0..100).collect();
        assert_eq!(shortened(&all).0, all);
    }
}
