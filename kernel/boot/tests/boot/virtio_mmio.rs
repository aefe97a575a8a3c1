// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::CommandLine;
use prism_boot::firmware::virtio_mmio::{MAX_SLOTS, Slot, distinct};
use proptest::prelude::*;

fn slots(text: &str) -> Vec<Option<Slot>> {
    CommandLine::from(text).virtio_slots().map(Result::ok).collect()
}

#[test]
fn of_overlapping_slots_the_first_is_probed() {
    let slot = |address, line| Slot::new(address, 0x200, line).unwrap();
    let told = [slot(0x1000, 1), slot(0x1100, 2), slot(0x1000, 3), slot(0x1200, 4), slot(0xe00, 5)];
    let (slots, more) = distinct(told);
    assert_eq!((slots.as_slice(), more), (&[told[0], told[3], told[4]][..], false));
}

#[test]
fn only_the_first_slots_are_probed_and_more_are_noted() {
    let slots = |count| (1..=count).map(|index| Slot::new(index << 12, 0x200, 5).unwrap());
    let most = MAX_SLOTS as u64;
    let again = distinct(slots(most).chain(slots(most)));
    assert_eq!((again.0.len(), again.1), (MAX_SLOTS, false), "the same again are no more");
    let (looked_at, more) = distinct(slots(most + 1));
    assert!(looked_at.iter().copied().eq(slots(most)) && more);
}

#[test]
fn words_of_qemu_and_firecracker_are_understood() {
    let found = slots("virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=4K@0xd0001000:5 x");
    let expected = [Slot::new(0xfeb0_0e00, 512, 12), Slot::new(0xd000_1000, 4096, 5)];
    assert_eq!(found, expected);
    assert!(expected.iter().all(Option::is_some));
}

#[test]
fn sizes_numbers_and_ids_are_those_of_linux() {
    let expected = vec![Slot::new(0x1001_e000, 1024, 74)];
    for value in ["1K@0x1001e000:74", "0x400@268558336:74", "1k@0x1001e000:74:6"] {
        assert_eq!(slots(&format!("virtio_mmio.device={value}")), expected, "{value}");
    }
}

#[test]
fn what_cannot_be_a_device_is_named() {
    for value in [
        "",
        "512",
        "512@0xfeb00000",
        "512@0xfeb00000:",
        "512@0xfeb00000:5:",
        "512@0xfeb00000:5:x",
        "512@0xfeb00000:5:1:2",
        "@0xfeb00000:5",
        "512@:5",
        "512@-8:5",
        "256@0xfeb00000:5",
        "2M@0xfeb00000:5",
        "17179869184G@0xfeb00000:5",
        "512@0:5",
        "512@0xfeb00004:5",
        "512@0xfffffffffffffff8:5",
        "512@0x10000000000000000:5",
        "512@0xfeb00000:1024",
        "512@0xfeb00000:4294967301",
    ] {
        let text = format!("virtio_mmio.device={value}");
        let line = CommandLine::from(text.as_str());
        let errors: Vec<String> = line.virtio_slots().map(|slot| slot.unwrap_err().to_string()).collect();
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with(&format!("{text} is not understood; give SIZE@ADDRESS:LINE")),
            "{errors:?}"
        );
    }
}

#[test]
fn an_invalid_word_does_not_affect_the_others() {
    let found = slots("virtio_mmio.device=1 virtio_mmio.device=512@0xfeb00000:5 virtio_mmio.device");
    assert_eq!(found, [None, Slot::new(0xfeb0_0000, 512, 5), None]);
}

proptest! {
    #[test]
    fn every_accepted_slot_can_exist(text in "[0-9a-fxKMG@:]{0,40}") {
        for slot in slots(&format!("virtio_mmio.device={text}")).into_iter().flatten() {
            prop_assert!(slot.range.start() != 0 && slot.range.start() % 8 == 0);
            prop_assert!((0x104..=1 << 20).contains(&slot.range.len()) && slot.line < 1024);
        }
    }
}
