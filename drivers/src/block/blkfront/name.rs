// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of disks, from the numbers that toolstacks give them (`docs/man/xen-vbd-interface.7`).

use alloc::format;
use alloc::string::String;

/// Bit that marks the numbers of the extended scheme.
const EXTENDED: u32 = 1 << 28;

/// The name of disk `number`: `xvda`, `sdb2`, `hdc`; `vbd-NUMBER` if it fits no scheme.
pub(super) fn name(number: u32) -> String {
    let (major, minor) = (number >> 8, number & 0xff);
    match major {
        _ if number & EXTENDED != 0 && number >> 29 == 0 => named("xvd", (number & !EXTENDED) >> 8, minor),
        202 => named("xvd", minor >> 4, minor & 15),
        8 => named("sd", minor >> 4, minor & 15),
        3 => named("hd", minor >> 6, minor & 63),
        22 => named("hd", 2 + (minor >> 6), minor & 63),
        _ => format!("vbd-{number}"),
    }
}

fn named(prefix: &str, disk: u32, partition: u32) -> String {
    let mut name = format!("{prefix}{}", letters(disk));
    if partition != 0 {
        name.push_str(&format!("{partition}"));
    }
    name
}

/// a to z, then aa to az, and so on.
fn letters(index: u32) -> String {
    let last = char::from(b'a' + (index % 26) as u8);
    let mut letters = if index < 26 { String::new() } else { letters(index / 26 - 1) };
    letters.push(last);
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_of_xens_manual() {
        let named = [
            (51712, "xvda"),
            (51712 + 16, "xvdb"),
            (51712 + 15 * 16 + 15, "xvdp15"),
            ((1 << 28) + (16 << 8), "xvdq"),
            ((1 << 28) + (26 << 8) + 3, "xvdaa3"),
            (3 << 8, "hda"),
            ((3 << 8) + 64, "hdb"),
            (22 << 8, "hdc"),
            ((22 << 8) + 65, "hdd1"),
            (8 << 8, "sda"),
            ((8 << 8) + 17, "sdb1"),
        ];
        for (number, expected) in named {
            assert_eq!(name(number), expected, "{number}");
        }
    }

    #[test]
    fn numbers_of_no_scheme_have_a_name_too() {
        assert_eq!(name(0), "vbd-0");
        assert_eq!(name(u32::MAX), "vbd-4294967295");
    }
}
