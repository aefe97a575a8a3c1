// SPDX-License-Identifier: MIT OR Apache-2.0
//! The screen of a PC in the text mode that firmware leaves it in: 80 columns and 25 rows of
//! characters in memory (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"; Intel
//! Graphics PRM volume 12, "VGA and Extended VGA Registers").
//!
//! Each access to that memory may be a trip to another process. So nothing is read back, and the
//! screen is scrolled by having it begin a row later; only when the memory ends is it written anew.

use crate::hal::Ports;
use crate::hal::Registers;

/// Where characters are in physical memory.
pub const MEMORY: u64 = 0xb_8000;
/// How much memory there is for them, in bytes.
pub const MEMORY_BYTES: u64 = 0x8000;

/// Characters in a row.
const COLUMNS: usize = 80;
/// Rows that are seen.
const ROWS: usize = 25;
/// Rows that the memory has room for.
const MEMORY_ROWS: usize = MEMORY_BYTES as usize / 2 / COLUMNS;
/// Columns from one tabulator stop to the next.
const TAB: usize = 8;

/// Light grey on black, in the upper half of each cell.
const COLOUR: u32 = 0x0700;

/// The graphics controller, its register that tells how memory is used, and what that says in text
/// mode: no graphics, at [`MEMORY`].
const GRAPHICS_INDEX: u16 = 0x3ce;
const GRAPHICS_DATA: u16 = 0x3cf;
const MISCELLANEOUS: u8 = 6;
const MODE: u8 = 0b1101;
const TEXT: u8 = 0b1100;

/// The CRT controller, and its registers: the place where the screen begins, and the cursor's.
const CRT_INDEX: u16 = 0x3d4;
const CRT_DATA: u16 = 0x3d5;
const START: u8 = 0x0c;
const CURSOR: u8 = 0x0e;

/// A screen in text mode.
pub struct Screen<R, P> {
    memory: R,
    ports: P,
    /// What is seen.
    text: [[u8; COLUMNS]; ROWS],
    /// The row in memory that is seen first.
    top: usize,
    row: usize,
    column: usize,
    sequence: Sequence,
}

/// How far a control sequence has come (ECMA-48, 5.4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sequence {
    None,
    /// `ESC`.
    Escape,
    /// `ESC [`, and a number.
    Control(usize),
}

impl<R: Registers, P: Ports> Screen<R, P> {
    /// Clears the screen; `None` if there is none, or if it is not in text mode. `memory` is what is
    /// at [`MEMORY`], [`MEMORY_BYTES`] long.
    pub fn new(memory: R, ports: P) -> Option<Self> {
        ports.write_u8(GRAPHICS_INDEX, MISCELLANEOUS);
        if ports.read_u8(GRAPHICS_DATA) & MODE != TEXT {
            return None;
        }
        let text = [[b' '; COLUMNS]; ROWS];
        let mut screen = Self { memory, ports, text, top: 0, row: 0, column: 0, sequence: Sequence::None };
        screen.show_all();
        screen.show_cursor();
        Some(screen)
    }

    /// Writes `text` where the cursor is. What is not ASCII becomes a question mark. Of control sequences,
    /// those do something that a line which is typed needs: to erase what is right of the cursor, or below,
    /// and to move it to the right, or to the first row.
    pub fn write(&mut self, text: &[u8]) {
        for byte in text {
            if self.take_of_sequence(*byte) {
                continue;
            }
            match byte {
                0x1b => self.sequence = Sequence::Escape,
                b'\n' => self.end_line(),
                b'\r' => self.column = 0,
                b'\t' => (0..TAB - self.column % TAB).for_each(|_| self.put(b' ')),
                b' '..=b'~' => self.put(*byte),
                // The first byte of a character; those that follow have these upper bits.
                0x80.. if byte & 0xc0 != 0x80 => self.put(b'?'),
                _ => {}
            }
        }
        self.show_cursor();
    }

    /// Whether `byte` is part of a control sequence.
    fn take_of_sequence(&mut self, byte: u8) -> bool {
        self.sequence = match (self.sequence, byte) {
            (Sequence::Escape, b'[') => Sequence::Control(0),
            (Sequence::Control(number), b'0'..=b'9') => {
                Sequence::Control((number * 10 + usize::from(byte - b'0')).min(COLUMNS))
            }
            (Sequence::Control(number), b' '..=b'~') => {
                self.control(byte, number);
                Sequence::None
            }
            _ => {
                self.sequence = Sequence::None;
                return false;
            }
        };
        true
    }

    fn control(&mut self, function: u8, number: usize) {
        match function {
            b'C' => self.column = (self.column + number.max(1)).min(COLUMNS - 1),
            b'H' => (self.row, self.column) = (0, 0),
            b'J' => {
                self.erase_row(self.column);
                for row in self.text.iter_mut().skip(self.row + 1) {
                    row.fill(b' ');
                }
                self.show_all();
            }
            b'K' => self.erase_row(self.column),
            _ => {}
        }
    }

    /// Erases the cursor's row from `column` on.
    fn erase_row(&mut self, column: usize) {
        if let Some(cells) = self.text.get_mut(self.row).and_then(|row| row.get_mut(column..)) {
            cells.fill(b' ');
        }
        (column / 2..COLUMNS / 2).for_each(|pair| self.show_pair(self.row, pair));
    }

    fn put(&mut self, character: u8) {
        if self.column == COLUMNS {
            self.end_line();
        }
        if let Some(cell) = self.text.get_mut(self.row).and_then(|row| row.get_mut(self.column)) {
            *cell = character;
        }
        self.show_pair(self.row, self.column / 2);
        self.column += 1;
    }

    fn end_line(&mut self) {
        self.column = 0;
        if self.row + 1 < ROWS {
            self.row += 1;
            return;
        }
        self.text.rotate_left(1);
        if let Some(last) = self.text.last_mut() {
            last.fill(b' ');
        }
        if self.top + ROWS < MEMORY_ROWS {
            self.top += 1;
            self.show_row(self.row);
        } else {
            self.top = 0;
            self.show_all();
        }
        self.write_place(START, self.top * COLUMNS);
    }

    fn show_all(&mut self) {
        (0..ROWS).for_each(|row| self.show_row(row));
        self.write_place(START, self.top * COLUMNS);
    }

    fn show_row(&self, row: usize) {
        (0..COLUMNS / 2).for_each(|pair| self.show_pair(row, pair));
    }

    /// Writes two neighbours to memory, which is accessed four bytes at a time.
    fn show_pair(&self, row: usize, pair: usize) {
        let pairs = self.text.get(row).map_or(&[][..], |row| row.as_chunks::<2>().0);
        if let Some([left, right]) = pairs.get(pair) {
            let cells = u32::from(*left) | COLOUR | (u32::from(*right) | COLOUR) << 16;
            self.memory.write_u32(((self.top + row) * COLUMNS + 2 * pair) * 2, cells);
        }
    }

    fn show_cursor(&self) {
        // Behind the last column there is no place: it waits in there.
        let column = self.column.min(COLUMNS - 1);
        self.write_place(CURSOR, (self.top + self.row) * COLUMNS + column);
    }

    /// Writes the number of a cell to two registers, the upper half to the first.
    fn write_place(&self, register: u8, place: usize) {
        for (register, half) in [(register, place >> 8), (register + 1, place)] {
            self.ports.write_u8(CRT_INDEX, register);
            self.ports.write_u8(CRT_DATA, half as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};

    use super::*;

    /// A screen: its memory and its registers.
    struct Fake {
        cells: RefCell<[u8; MEMORY_BYTES as usize]>,
        writes: Cell<usize>,
        crt: RefCell<[u8; 256]>,
        index: Cell<u8>,
        mode: u8,
    }

    impl Fake {
        fn new(mode: u8) -> Self {
            let cells = RefCell::new([0; MEMORY_BYTES as usize]);
            let (writes, index) = (Cell::new(0), Cell::new(0));
            Self { cells, writes, crt: RefCell::new([0; 256]), index, mode }
        }

        fn place(&self, register: u8) -> usize {
            let crt = self.crt.borrow();
            usize::from(crt[usize::from(register)]) << 8 | usize::from(crt[usize::from(register) + 1])
        }

        /// What somebody sees who looks at it.
        fn seen(&self) -> Vec<String> {
            let cells = self.cells.borrow();
            let start = self.place(START);
            let characters = cells.chunks(2).skip(start).map(|cell| char::from(cell[0]));
            let all: Vec<char> = characters.take(ROWS * COLUMNS).collect();
            all.chunks(COLUMNS).map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
        }
    }

    impl Registers for &Fake {
        fn read_u32(&self, _: usize) -> u32 {
            panic!("memory of a screen is slow to read")
        }
        fn write_u32(&self, offset: usize, value: u32) {
            self.writes.set(self.writes.get() + 1);
            self.cells.borrow_mut()[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    impl Ports for &Fake {
        fn read_u8(&self, port: u16) -> u8 {
            if port == GRAPHICS_DATA { self.mode } else { 0xff }
        }
        fn read_u16(&self, _: u16) -> u16 {
            !0
        }
        fn read_u32(&self, _: u16) -> u32 {
            !0
        }
        fn write_u8(&self, port: u16, value: u8) {
            match port {
                CRT_INDEX => self.index.set(value),
                CRT_DATA => self.crt.borrow_mut()[usize::from(self.index.get())] = value,
                _ => {}
            }
        }
        fn write_u16(&self, _: u16, _: u16) {}
        fn write_u32(&self, _: u16, _: u32) {}
    }

    #[test]
    fn without_a_screen_in_text_mode_there_is_none() {
        for mode in [0xff, TEXT | 1, 0b0100] {
            let fake = Fake::new(mode);
            assert!(Screen::new(&fake, &fake).is_none());
        }
    }

    #[test]
    fn text_is_seen_and_the_cursor_is_behind_it() {
        let fake = Fake::new(0x0e);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        screen.write("Zoë\tgo\r\nes on".as_bytes());
        assert_eq!(fake.seen()[..2], ["Zo?     go", "es on"]);
        assert_eq!(fake.seen()[2..], [""; ROWS - 2]);
        assert_eq!(fake.place(CURSOR), COLUMNS + 5);
        assert_eq!(fake.cells.borrow()[1], 7);
    }

    #[test]
    fn a_line_is_written_anew_in_its_place() {
        let fake = Fake::new(TEXT);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        screen.write(b"above\n> memory\r\x1b[Klog\n\r> me\x1b[K\r\x1b[3C");
        assert_eq!(fake.seen()[..4], ["above", "log", "> me", ""]);
        assert_eq!(fake.place(CURSOR), 2 * COLUMNS + 3);
        screen.write(b"\x1b[H\x1b[Jnew");
        assert_eq!(
            (&fake.seen()[0], &fake.seen()[1], &fake.seen()[2]),
            (&"new".into(), &"".into(), &"".into())
        );
    }

    #[test]
    fn sequences_that_nobody_knows_or_that_break_off_show_nothing() {
        let fake = Fake::new(TEXT);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        screen.write(b"a\x1b[1mb\x1b[99999999999999999999Cc\n\x1b\x1b[31\nd\x1bMe");
        assert_eq!(fake.seen()[..3], [format!("ab{}c", " ".repeat(COLUMNS - 3)), "".into(), "dMe".into()]);
    }

    #[test]
    fn a_long_line_goes_on_in_the_next_row() {
        let fake = Fake::new(TEXT);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        screen.write(&[b'x'; COLUMNS]);
        assert_eq!(fake.place(CURSOR), COLUMNS - 1);
        screen.write(b"y\nz");
        assert_eq!(fake.seen()[..3], ["x".repeat(COLUMNS), "y".to_owned(), "z".to_owned()]);
    }

    #[test]
    fn the_last_lines_are_seen_however_many_there_were() {
        let fake = Fake::new(TEXT);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        for line in 0..1000 {
            screen.write(format!("line {line}\n").as_bytes());
            let first = (line + 2usize).saturating_sub(ROWS);
            let expected: Vec<String> = (first..=line).map(|line| format!("line {line}")).collect();
            assert_eq!(fake.seen()[..expected.len()], expected);
            assert_eq!(fake.seen()[expected.len()], "");
        }
    }

    #[test]
    fn a_line_costs_little_more_than_its_characters() {
        let fake = Fake::new(TEXT);
        let mut screen = Screen::new(&fake, &fake).unwrap();
        fake.writes.set(0);
        (0..1000).for_each(|_| screen.write(b"a line of 24 characters\n"));
        assert!(fake.writes.get() < 1000 * 80, "{} writes", fake.writes.get());
    }
}
