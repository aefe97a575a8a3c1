// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever is typed: the line stays a line, what is shown stays in its row, and nothing grows.

use prism_terminal::editor::{COLUMNS, Editor, Event, MAX_LINE};
use prism_terminal::keys::Decoder;
use proptest::prelude::*;

const WORDS: [&str; 4] = ["help", "memory", "power", "poweroff"];

/// A terminal of one row, of which nothing may leave.
fn show(row: &str) -> (String, usize) {
    let (mut cells, mut cursor) = (Vec::new(), 0);
    let mut characters = row.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => cursor = 0,
            '\x1b' => {
                assert_eq!(characters.next(), Some('['));
                let number: String = characters.clone().take_while(char::is_ascii_digit).collect();
                match characters.nth(number.len()) {
                    Some('K') => cells.truncate(cursor),
                    Some('C') => cursor += number.parse::<usize>().unwrap(),
                    other => panic!("a sequence that consoles do not know: {other:?}"),
                }
            }
            _ => {
                assert!(!character.is_control());
                cells.resize(cells.len().max(cursor + 1), ' ');
                cells[cursor] = character;
                cursor += 1;
            }
        }
    }
    assert!(cells.len() <= COLUMNS && cursor <= cells.len());
    (cells.into_iter().collect(), cursor)
}

fn check(bytes: &[u8]) {
    let (mut decoder, mut editor) = (Decoder::default(), Editor::default());
    for byte in bytes {
        let Some(key) = decoder.push(*byte) else { continue };
        match editor.key(key) {
            Event::Complete => drop(editor.complete(WORDS.into_iter())),
            Event::Line(line) => assert!(line.len() <= MAX_LINE && editor.line().is_empty()),
            _ => {}
        }
        assert!(editor.line().len() <= MAX_LINE && !editor.line().chars().any(char::is_control));
        let (before, after) = editor.line().split_at(editor.cursor());
        let row = editor.row("> ").to_string();
        assert!(row.len() <= 512, "a console shows no more");
        let (shown, cursor) = show(&row);
        let (left, right) = (shown.chars().take(cursor), shown.chars().skip(cursor));
        assert!(before.ends_with(left.skip(2).collect::<String>().as_str()));
        assert!(after.starts_with(right.collect::<String>().as_str()));
    }
}

/// Bytes as people, terminals and neither of them send.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let typed = prop_oneof![
        4 => "[a-z ]{1,8}".prop_map(String::into_bytes),
        4 => proptest::collection::vec(0..0x20_u8, 1..4),
        4 => "\x1b(\\[|O)[0-9;]{0,3}[A-DFH~]".prop_map(String::into_bytes),
        2 => "\\PC{1,8}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 1..16),
        1 => Just(vec![b'x'; 300]),
    ];
    proptest::collection::vec(typed, 0..40).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn any_bytes_leave_a_line_that_fits_its_row(bytes in bytes()) {
        check(&bytes);
    }
}

#[test]
fn a_megabyte_without_a_line_end_costs_a_line() {
    let bytes =
        [b"x".repeat(1 << 12), b"\x1b[".repeat(1 << 12), b"\xf0\x9f".repeat(1 << 12), b"9;".repeat(1 << 12)];
    check(&bytes.concat());
}
