// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_fuzz::fuzz_target;
use prism_terminal::editor::{COLUMNS, Editor, Event, MAX_LINE};
use prism_terminal::keys::Decoder;

fuzz_target!(|input: &[u8]| {
    let (mut decoder, mut editor) = (Decoder::default(), Editor::default());
    for key in input.iter().filter_map(|byte| decoder.push(*byte)) {
        match editor.key(key) {
            Event::Line(line) => assert!(line.len() <= MAX_LINE),
            Event::Complete => drop(editor.complete(["ping", "power", "poweroff"].into_iter())),
            _ => {}
        }
        let line = editor.line();
        assert!(line.len() <= MAX_LINE && !line.contains(char::is_control));
        assert!(line.is_char_boundary(editor.cursor()));
        let row = editor.row("> ").to_string();
        let (shown, moves) = row.strip_prefix('\r').unwrap().split_once("\x1b[K").unwrap();
        assert!(shown.chars().count() <= COLUMNS && !shown.contains(char::is_control));
        assert!(moves.is_empty() || moves.starts_with("\r\x1b[") && moves.ends_with('C'));
    }
});
