// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::translations::{Epoch, Translations};
use proptest::prelude::*;

#[test]
fn a_vcpu_flushes_once_for_all_that_was_unmapped_before() {
    let translations = Translations::<4>::new();
    let epochs: Vec<Epoch> = (0..3).map(|vcpu| translations.unmapped(vcpu)).collect();
    assert!(translations.must_flush(3, epochs[0]));
    assert!(epochs.iter().all(|epoch| !translations.must_flush(3, *epoch)));
}

#[test]
fn unmapping_a_page_does_not_cover_pages_that_others_unmapped() {
    let translations = Translations::<2>::new();
    let others = translations.unmapped(0);
    let own = translations.unmapped(1);
    assert!(translations.must_flush(1, others));
    assert!(!translations.must_flush(1, own));
}

#[test]
fn a_vcpu_that_is_not_counted_always_flushes() {
    let translations = Translations::<1>::new();
    let epoch = translations.unmapped(5);
    assert!(translations.must_flush(5, epoch));
    assert!(translations.must_flush(5, epoch));
}

proptest! {
    /// Against vCPUs that remember each page until they flush, or unmap it themselves.
    #[test]
    fn no_vcpu_relies_on_a_stale_translation(steps in prop::collection::vec((0u32..3, 0usize..8, any::<bool>()), 0..60)) {
        let translations = Translations::<3>::new();
        let mut pages: Vec<Epoch> = Vec::new();
        let mut remembered = [const { Vec::<usize>::new() }; 3];
        for (vcpu, page, unmap) in steps {
            if unmap {
                for (other, remembered) in remembered.iter_mut().enumerate() {
                    if other != vcpu as usize {
                        remembered.push(pages.len());
                    }
                }
                pages.push(translations.unmapped(vcpu));
            } else if let Some(epoch) = pages.get(page) {
                let remembered = &mut remembered[vcpu as usize];
                if translations.must_flush(vcpu, *epoch) {
                    remembered.clear();
                }
                prop_assert!(!remembered.contains(&page));
            }
        }
    }
}
