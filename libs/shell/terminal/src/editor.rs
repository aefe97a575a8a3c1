// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line that is edited, with a history. Its text is valid UTF-8 without control characters, and the cursor
//! is between two characters. A character is taken to be as wide as one column.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;

use crate::keys::Key;

/// Bytes of the longest line: what is typed beyond is ignored.
pub const MAX_LINE: usize = 256;
/// Lines of the history: the oldest is forgotten.
pub const MAX_HISTORY: usize = 32;
/// Columns that a row takes up at most: one less than a terminal has, so that none breaks the row.
pub const COLUMNS: usize = 79;

/// What a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The line, or the cursor, is another one; or nothing happened.
    Edited,
    /// The line is complete. The next one is empty.
    Line(String),
    /// The word before the cursor is to be [completed](Editor::complete).
    Complete,
    /// The line was thrown away.
    Interrupted,
    /// There will be no more input.
    End,
}

/// A line that is edited.
#[derive(Debug, Default)]
pub struct Editor {
    line: String,
    /// A byte of the line.
    cursor: usize,
    history: VecDeque<String>,
    /// Which line of the history it is, counted from 1 for the latest; 0 for a new one.
    recalled: usize,
    /// The new line, while one of the history is shown.
    draft: String,
}

impl Editor {
    /// The line.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Where the cursor is: a byte of the line.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Event {
        let (before, after) = (self.before(), self.after());
        match key {
            Key::Char(character) => self.insert(character),
            Key::Backspace => self.erase(before..self.cursor),
            Key::Delete => self.erase(self.cursor..after),
            Key::DeleteOrEnd if self.line.is_empty() => return Event::End,
            Key::DeleteOrEnd => self.erase(self.cursor..after),
            Key::Left => self.cursor = before,
            Key::Right => self.cursor = after,
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.line.len(),
            Key::Up => self.recall(self.recalled + 1),
            Key::Down => self.recall(self.recalled.saturating_sub(1)),
            Key::EraseToStart => self.erase(0..self.cursor),
            Key::EraseToEnd => self.line.truncate(self.cursor),
            Key::EraseWord => self.erase(self.word_start()..self.cursor),
            Key::Tab => return Event::Complete,
            Key::Enter => return Event::Line(self.take_line()),
            Key::Interrupt => {
                self.clear();
                return Event::Interrupted;
            }
        }
        Event::Edited
    }

    /// Completes the first word by one of `words`, as far as all that fit have in common. Returns those that
    /// fit, if there are several and nothing could be added.
    pub fn complete<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> Vec<&'w str> {
        let typed = self.line.get(..self.cursor).unwrap_or_default();
        if typed.contains(' ') {
            return Vec::new();
        }
        let fitting: Vec<&str> = words.filter(|word| word.starts_with(typed)).collect();
        let Some((first, others)) = fitting.split_first() else { return Vec::new() };
        let common = others.iter().fold(*first, |common, word| common_start(common, word));
        let added = common.get(typed.len()..).unwrap_or_default();
        let is_whole = others.is_empty();
        if !is_whole && added.is_empty() {
            return fitting;
        }
        added.chars().chain(is_whole.then_some(' ')).for_each(|character| self.insert(character));
        Vec::new()
    }

    /// The line behind `prompt`, as a row of a terminal.
    pub fn row<'r>(&'r self, prompt: &'r str) -> Row<'r> {
        Row { prompt, line: &self.line, cursor: self.cursor }
    }

    fn insert(&mut self, character: char) {
        if self.line.len() + character.len_utf8() <= MAX_LINE && !character.is_control() {
            self.line.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
    }

    fn erase(&mut self, range: core::ops::Range<usize>) {
        self.cursor = range.start;
        self.line.drain(range);
    }

    /// Where the character before the cursor begins.
    fn before(&self) -> usize {
        let length = self.line.get(..self.cursor).and_then(|text| text.chars().next_back());
        self.cursor - length.map_or(0, char::len_utf8)
    }

    /// Where the character at the cursor ends.
    fn after(&self) -> usize {
        let length = self.line.get(self.cursor..).and_then(|text| text.chars().next());
        self.cursor + length.map_or(0, char::len_utf8)
    }

    /// Where the word before the cursor begins.
    fn word_start(&self) -> usize {
        let text = self.line.get(..self.cursor).unwrap_or_default().trim_end_matches(' ');
        text.rfind(' ').map_or(0, |blank| blank + 1)
    }

    fn recall(&mut self, number: usize) {
        if number == self.recalled || number > self.history.len() {
            return;
        }
        if self.recalled == 0 {
            self.draft = take(&mut self.line);
        }
        let old = number.checked_sub(1).and_then(|number| self.history.get(number));
        self.line = old.map_or_else(|| take(&mut self.draft), String::clone);
        (self.cursor, self.recalled) = (self.line.len(), number);
    }

    fn take_line(&mut self) -> String {
        let line = take(&mut self.line);
        self.clear();
        if !line.trim().is_empty() && self.history.front() != Some(&line) {
            self.history.truncate(MAX_HISTORY - 1);
            self.history.push_front(line.clone());
        }
        line
    }

    fn clear(&mut self) {
        self.line.clear();
        self.draft.clear();
        (self.cursor, self.recalled) = (0, 0);
    }
}

fn common_start<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.char_indices().zip(other.chars()).find(|((_, one), other)| one != other);
    let end = same.map_or(one.len().min(other.len()), |((index, _), _)| index);
    one.get(..end).unwrap_or_default()
}

/// A line behind a prompt, in one row of a terminal, which has the part around the cursor if it is longer.
/// Its text goes to the first column, and leaves the cursor where it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    /// What is in front of the line, shorter than a row.
    pub prompt: &'r str,
    /// The line.
    pub line: &'r str,
    /// A byte of the line.
    pub cursor: usize,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prompt, line, cursor } = *self;
        let start = prompt.chars().count();
        let room = COLUMNS.saturating_sub(start).max(1);
        let before = line.get(..cursor).unwrap_or(line).chars().count();
        let hidden = (before + 1).saturating_sub(room);
        write!(f, "\r{prompt}")?;
        line.chars().skip(hidden).take(room).try_for_each(|character| write!(f, "{character}"))?;
        f.write_str("\x1b[K")?;
        let (shown, column) = (line.chars().count().saturating_sub(hidden).min(room), before - hidden);
        match start + column {
            _ if column == shown => Ok(()),
            0 => f.write_str("\r"),
            column => write!(f, "\r\x1b[{column}C"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    fn typed(editor: &mut Editor, text: &str) {
        text.chars().for_each(|character| assert_eq!(editor.key(Key::Char(character)), Event::Edited));
    }

    /// What is left of `text` after these keys, with a bar at the cursor.
    fn edited(text: &str, keys: &[Key]) -> String {
        let mut editor = Editor::default();
        typed(&mut editor, text);
        keys.iter().for_each(|key| assert_eq!(editor.key(*key), Event::Edited));
        let (before, after) = editor.line().split_at(editor.cursor());
        format!("{before}|{after}")
    }

    #[test]
    fn keys_move_by_characters_and_erase_characters_words_and_ends() {
        use Key::{
            Backspace, Char, Delete, DeleteOrEnd, End, EraseToEnd, EraseToStart, EraseWord, Home, Left, Right,
        };
        assert_eq!(edited("aé€", &[Left, Left, Char('x')]), "ax|é€");
        assert_eq!(edited("aé€", &[Backspace, Backspace]), "a|");
        assert_eq!(edited("aé€", &[Home, Right, Delete, DeleteOrEnd, Delete]), "a|");
        assert_eq!(edited("ab", &[Home, Left, Backspace, End, Right, Delete]), "ab|");
        assert_eq!(edited("one two  ", &[EraseWord]), "one |");
        assert_eq!(edited("one two", &[Left, EraseWord, EraseWord, EraseWord]), "|o");
        assert_eq!(edited("one two", &[Left, Left, EraseToEnd]), "one t|");
        assert_eq!(edited("one two", &[Left, Left, EraseToStart]), "|wo");
    }

    #[test]
    fn the_history_has_the_last_lines_and_gives_the_new_one_back() {
        let mut editor = Editor::default();
        for line in ["one", "two", "two", " "] {
            typed(&mut editor, line);
            assert_eq!(editor.key(Key::Enter), Event::Line(line.to_string()));
        }
        typed(&mut editor, "new");
        let mut lines = [Key::Up, Key::Up, Key::Up, Key::Down, Key::Down, Key::Down].map(|key| {
            editor.key(key);
            editor.line().to_string()
        });
        assert_eq!(lines, ["two", "one", "one", "two", "new", "new"]);
        editor.key(Key::Up);
        typed(&mut editor, "!");
        assert_eq!(editor.key(Key::Enter), Event::Line("two!".into()));
        lines = [Key::Up, Key::Up, Key::Up, Key::Up, Key::Down, Key::Interrupt].map(|key| {
            editor.key(key);
            editor.line().to_string()
        });
        assert_eq!(lines, ["two!", "two", "one", "one", "two", ""]);
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut editor = Editor::default();
        for number in 0..2 * MAX_HISTORY {
            typed(&mut editor, &number.to_string());
            editor.key(Key::Enter);
        }
        (0..2 * MAX_HISTORY).for_each(|_| drop(editor.key(Key::Up)));
        assert_eq!(editor.line(), MAX_HISTORY.to_string());
        editor.key(Key::Interrupt);
        typed(&mut editor, &"é".repeat(MAX_LINE));
        assert_eq!(editor.line().len(), MAX_LINE);
    }

    #[test]
    fn the_end_of_the_input_is_told_of_only_without_a_line() {
        let mut editor = Editor::default();
        assert_eq!(editor.key(Key::DeleteOrEnd), Event::End);
        typed(&mut editor, "a");
        assert_eq!(editor.key(Key::DeleteOrEnd), Event::Edited);
        assert_eq!(editor.key(Key::Interrupt), Event::Interrupted);
        assert_eq!(editor.line(), "");
    }

    #[test]
    fn words_are_completed_as_far_as_they_are_the_same() {
        let words = ["memory", "ping", "poweroff", "power"];
        let complete = |typed_so_far: &str| {
            let mut editor = Editor::default();
            typed(&mut editor, typed_so_far);
            assert_eq!(editor.key(Key::Tab), Event::Complete);
            let fitting = editor.complete(words.into_iter());
            (editor.line().to_string(), fitting)
        };
        assert_eq!(complete("m"), ("memory ".into(), Vec::new()));
        assert_eq!(complete("p"), ("p".into(), ["ping", "poweroff", "power"].to_vec()));
        assert_eq!(complete("po"), ("power".into(), Vec::new()));
        assert_eq!(complete("power"), ("power".into(), ["poweroff", "power"].to_vec()));
        assert_eq!(complete("x"), ("x".into(), Vec::new()));
        assert_eq!(complete("memory m"), ("memory m".into(), Vec::new()));
    }

    #[test]
    fn a_row_has_the_part_around_the_cursor() {
        let row = |line: &str, cursor| Row { prompt: "> ", line, cursor }.to_string();
        assert_eq!(row("", 0), "\r> \x1b[K");
        assert_eq!(row("aé", 3), "\r> aé\x1b[K");
        assert_eq!(row("aé", 1), "\r> aé\x1b[K\r\x1b[3C");
        let long: String = ('a'..='z').cycle().take(100).collect();
        assert_eq!(row(&long, 100), format!("\r> {}\x1b[K", &long[24..]));
        assert_eq!(row(&long, 0), format!("\r> {}\x1b[K\r\x1b[2C", &long[..77]));
        assert_eq!(row(&long, 77), format!("\r> {}\x1b[K\r\x1b[78C", &long[1..78]));
    }
}
