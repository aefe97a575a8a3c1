// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sleep types of "soft off", found in a table of definitions without running it: `\_S5` is a
//! name with a package of constants, whose bytes can be looked for (sections 7.4.2, 20.2).

use super::table::{HEADER, Table};
use crate::PhysMemory;
use crate::bytes::Record;

/// The name's own four letters, behind the opcode for "name" and perhaps the sign of the root.
const NAME: &[u8] = b"_S5_";
const NAME_OPCODE: u8 = 0x08;
const ROOT: u8 = b'\\';
const PACKAGE_OPCODE: u8 = 0x12;
const BYTE_PREFIX: u8 = 0x0a;

/// What is looked at at once: all of the definition but a long package.
const WINDOW: usize = 24;

/// The types for the two control registers.
pub(super) fn soft_off_types(definitions: &Table<'_, impl PhysMemory>) -> Option<(u8, u8)> {
    (HEADER..definitions.length())
        .filter_map(|offset| definitions.record::<WINDOW>(offset))
        .find_map(|window| types(&window))
}

/// The types, if the window begins with the definition.
fn types(window: &Record<WINDOW>) -> Option<(u8, u8)> {
    let rest = window.0.strip_prefix(&[NAME_OPCODE])?;
    let rest = rest.strip_prefix(&[ROOT]).unwrap_or(rest).strip_prefix(NAME)?;
    let rest = rest.strip_prefix(&[PACKAGE_OPCODE])?;
    // The package's length takes one byte and as many more as its upper two bits say; then comes
    // the number of elements.
    let more = usize::from(rest.first()? >> 6);
    let elements = rest.get(more.checked_add(2)?..)?;
    let (type_a, elements) = constant(elements)?;
    let (type_b, _) = constant(elements)?;
    Some((type_a, type_b))
}

/// A small constant, and what follows it. Three bits of it count (section 4.8.3.2.1).
fn constant(code: &[u8]) -> Option<(u8, &[u8])> {
    match code {
        [number @ (0 | 1), rest @ ..] | [BYTE_PREFIX, number, rest @ ..] if *number < 8 => {
            Some((*number, rest))
        }
        _ => None,
    }
}
