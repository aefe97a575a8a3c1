// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consoles that a guest shares with the hypervisor beneath it: the serial port of a dom0, Xen's
//! own console ring with the debug ports of its guests, the ring of a guest in a shim.

use std::collections::HashSet;

/// Xen hands on a line of a debug port in pieces of this length, each as a line of its own.
const PIECE: usize = 199;

/// What domain save and restore say about every HVM guest that is made.
const NOISE: [&str; 2] = [" save: ", "(XEN) HVM restore "];

/// The two voices on a console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voices {
    /// The guest's lines.
    pub guest: String,
    /// The hypervisor's lines.
    pub hypervisor: String,
}

/// Tells the guest's lines from the hypervisor's. What the guest wrote to its debug port and to
/// the console alike is taken once.
pub fn split(console: &str) -> Voices {
    let plain: HashSet<&str> = console.lines().filter(|line| debug_port(line).is_none()).collect();
    let mut voices = Voices::default();
    for line in console.lines() {
        match debug_port(line) {
            Some((text, _)) if plain.contains(text) => {}
            Some((text, whole)) => push(&mut voices.guest, text, whole),
            None if is_noise(line) => {}
            None if is_hypervisors(line) => push(&mut voices.hypervisor, line, true),
            None => push(&mut voices.guest, line, true),
        }
    }
    voices
}

/// A line of the guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// With its end, unless it goes on in the next one.
    pub text: String,
    /// Whether it came by the debug port.
    pub by_debug_port: bool,
}

/// What a line of a shared console has of the guest, if it is the guest's.
pub fn said(line: &str) -> Option<Said> {
    match debug_port(line) {
        Some((text, whole)) => {
            let mut said = String::new();
            push(&mut said, text, whole);
            Some(Said { text: said, by_debug_port: true })
        }
        None if is_hypervisors(line) => None,
        None => Some(Said { text: format!("{line}\n"), by_debug_port: false }),
    }
}

fn push(voice: &mut String, line: &str, whole: bool) {
    voice.push_str(line);
    if whole {
        voice.push('\n');
    }
}

fn is_hypervisors(line: &str) -> bool {
    line.starts_with("(XEN) ") || line.starts_with(" Xen ")
}

fn is_noise(line: &str) -> bool {
    is_hypervisors(line) && NOISE.iter().any(|noise| line.contains(noise))
}

/// A line from a guest's debug port, as in `(d7) text`, and whether it ends there.
fn debug_port(line: &str) -> Option<(&str, bool)> {
    let (domain, text) = line.strip_prefix("(d")?.split_once(") ")?;
    domain.parse::<u16>().ok()?;
    Some((text, text.len() != PIECE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dom0_and_its_xen_are_told_apart() {
        let voices = split(" Xen 4.20\n(XEN) booting\nhello\n(XEN) [1.0] halted\n");
        assert_eq!(voices.guest, "hello\n");
        assert_eq!(voices.hypervisor, " Xen 4.20\n(XEN) booting\n(XEN) [1.0] halted\n");
    }

    #[test]
    fn pieces_of_a_long_line_are_joined() {
        let piece = "x".repeat(PIECE);
        assert_eq!(split(&format!("(d1) {piece}\n(d1) yz\n")).guest, format!("{piece}yz\n"));
    }

    #[test]
    fn a_line_that_came_both_ways_is_taken_once() {
        assert_eq!(split("(d0) early\nhello\n(d0) hello\n").guest, "early\nhello\n");
    }

    #[test]
    fn a_line_in_brackets_is_not_always_a_debug_port() {
        assert_eq!(split("(data) x\n").guest, "(data) x\n");
    }

    #[test]
    fn the_noise_of_making_a_guest_is_left_out() {
        assert_eq!(split("(XEN) HVM d4 save: PIC\n(XEN) HVM restore d4: CPU 0\n"), Voices::default());
    }
}
