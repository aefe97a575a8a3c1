// SPDX-License-Identifier: MIT OR Apache-2.0
use prism_boot::{SliceMemory, Text};

#[test]
fn text_ends_at_the_first_nul() {
    assert_eq!(Text::<8>::from_bytes(b"ab\0cd").as_str(), "ab");
}

#[test]
fn text_without_a_nul_ends_with_the_bytes() {
    let text = Text::<8>::from_bytes(b"abcdefgh");
    assert_eq!((text.as_str(), text.truncated()), ("abcdefgh", false));
}

#[test]
fn text_that_is_too_long_is_truncated_and_says_so() {
    let text = Text::<4>::from_bytes(b"abcde");
    assert_eq!((text.as_str(), text.truncated()), ("abcd", true));
}

#[test]
fn bytes_that_are_not_ascii_are_replaced() {
    let text = Text::<16>::from_bytes(b"a\xff\x1b[b\tc\n~\x7f");
    assert_eq!((text.as_str(), text.replaced()), ("a??[b c ~?", true));
}

#[test]
fn text_is_read_across_the_pieces_it_is_copied_in() {
    let mut bytes = [b'x'; 200];
    bytes[150] = 0;
    let memory = SliceMemory { base: 0x1003, bytes: &bytes };
    let text = Text::<256>::read(&memory, 0x1003, u64::MAX).unwrap();
    assert_eq!(text.len(), 150);
}

#[test]
fn text_that_runs_out_of_memory_is_not_read() {
    let memory = SliceMemory { base: 0, bytes: &[b'x'; 64] };
    assert_eq!(Text::<256>::read(&memory, 0, u64::MAX), None);
}

#[test]
fn text_at_the_very_end_of_the_address_space_is_not_read() {
    let memory = SliceMemory { base: 0, bytes: &[] };
    assert_eq!(Text::<256>::read(&memory, u64::MAX - 3, u64::MAX), None);
}

#[test]
fn bounded_text_is_not_read_beyond_its_bound() {
    let memory = SliceMemory { base: 0, bytes: b"abcdef" };
    assert_eq!(Text::<256>::read(&memory, 1, 3).unwrap().as_str(), "bcd");
}
