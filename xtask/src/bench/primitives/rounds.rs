// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest did between its marks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Something that a guest did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It made a mark.
    Mark,
    /// It asked CPUID at this address: a mark, maybe.
    Cpuid(u64),
    /// It entered what is beneath it, by name of the reason.
    Entry(Cow<'static, str>),
    /// The same, but no hypercall, of a PV domain.
    Trap(Cow<'static, str>),
}

/// What a round of a primitive had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Entries of which there is a count in the table.
    pub(super) entries: u64,
    /// What trapped beside them.
    pub(super) traps: u64,
    /// All of them by their names.
    pub(super) kinds: BTreeMap<String, u64>,
}

/// The rounds, each between a mark and the next.
///
/// # Errors
/// If there are not twice as many marks as `rounds`.
pub(super) fn of_events(events: &[Event], rounds: usize) -> Result<Vec<Round>> {
    if rounds == 0 {
        return Ok(Vec::new());
    }
    let mark = mark(events, 2 * rounds).with_context(|| {
        let marks = events.iter().filter(|event| **event == Event::Mark).count();
        let asked = events.iter().filter(|event| matches!(event, Event::Cpuid(_))).count();
        format!("{rounds} rounds were not told apart by {marks} marks, or {asked} times CPUID")
    })?;
    // What is before the first mark, between rounds, and after the last one is left out.
    let parts = events.split(|event| *event == mark).skip(1).step_by(2);
    Ok(parts.take(rounds).map(round).collect())
}

/// What the marks are: the last events of which there are exactly so many. Who asks CPUID as often at boot
/// does so before.
fn mark(events: &[Event], wanted: usize) -> Option<Event> {
    let is_mark = |event: &&Event| matches!(event, Event::Mark | Event::Cpuid(_));
    let mut tried: Vec<&Event> = Vec::new();
    for mark in events.iter().rev().filter(is_mark) {
        if tried.contains(&mark) {
            continue;
        }
        if events.iter().filter(|event| *event == mark).count() == wanted {
            return Some(mark.clone());
        }
        tried.push(mark);
    }
    None
}

fn round(events: &[Event]) -> Round {
    let mut round = Round::default();
    for event in events {
        let (name, count) = match event {
            Event::Trap(name) => (name.as_ref(), &mut round.traps),
            Event::Entry(name) => (name.as_ref(), &mut round.entries),
            Event::Cpuid(_) => ("cpuid", &mut round.entries),
            Event::Mark => continue,
        };
        *count += 1;
        *round.kinds.entry(name.to_owned()).or_default() += 1;
    }
    round
}

/// Linux's trace of KVM's exits, as lines of a reason and an address.
pub(super) fn of_kvm(text: &str) -> Result<Vec<Event>> {
    let event = |line: &str| {
        let (reason, address) = line.split_once(' ')?;
        let address = u64::from_str_radix(address.trim().strip_prefix("0x")?, 16).ok()?;
        Some(match reason.to_lowercase().trim_start_matches("exit_") {
            "interrupt" | "nmi" | "intr" | "external_interrupt" | "exception_nmi" => None,
            "cpuid" => Some(Event::Cpuid(address)),
            other => Some(Event::Entry(other.to_owned().into())),
        })
    };
    let events = text.lines().map(|line| event(line).with_context(|| format!("this is no exit: {line}")));
    Ok(events.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// QEMU's trace of accesses to devices, as lines of `read` or `write`, an address, a value, and the device's
/// name. A mark is a line of the serial console.
pub(super) fn of_qemu(text: &str) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut line = String::new();
    // Where the last line of the console ended: what is written for a mark is not part of a round.
    let mut ended = 0;
    for access in text.lines() {
        let words: Vec<&str> = access.splitn(4, ' ').collect();
        let [direction, address, value, device] = words.as_slice() else {
            anyhow::bail!("this is no access: {access}");
        };
        events.push(Event::Entry((*device).to_owned().into()));
        if (*direction, *address, *device) != ("write", SERIAL, "serial") {
            continue;
        }
        let byte = u8::from_str_radix(value, 16).unwrap_or_default();
        if byte != b'\n' {
            line.push(char::from(byte));
            continue;
        }
        if line.trim() == "mark" {
            let is_serial = |event: &Event| *event == Event::Entry("serial".into());
            let kept: Vec<Event> = events.drain(ended..).filter(|event| !is_serial(event)).collect();
            events.extend(kept);
            events.push(Event::Mark);
        }
        ended = events.len();
        line.clear();
    }
    Ok(events)
}

/// The address of the port that the console is written to.
const SERIAL: &str = "3f8";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &'static str) -> Event {
        Event::Entry(name.into())
    }

    #[test]
    fn only_what_is_between_two_marks_counts() {
        let mark = Event::Cpuid(7);
        let trap = Event::Trap("trap".into());
        let events = [
            Event::Cpuid(3),
            Event::Cpuid(3),
            Event::Cpuid(3),
            Event::Cpuid(3),
            Event::Cpuid(1),
            mark.clone(),
            entry("hlt"),
            Event::Cpuid(1),
            trap,
            mark.clone(),
            entry("between"),
            mark.clone(),
            mark.clone(),
            entry("end"),
        ];
        let rounds = of_events(&events, 2).unwrap();
        assert_eq!([rounds[0].entries, rounds[0].traps, rounds[1].entries], [2, 1, 0]);
        assert_eq!(rounds[0].kinds["hlt"], 1);
        assert!(of_events(&events, 3).is_err());
        assert!(of_events(&[], 1).is_err() && of_events(&[], 0).unwrap().is_empty());
    }

    #[test]
    fn kvms_exits_are_told_but_for_the_machines_interrupts() {
        let events = of_kvm("cpuid 0x10\ninterrupt 0x11\nmsr 0x12\nEXIT_HLT 0x13\n").unwrap();
        assert_eq!(events, [Event::Cpuid(0x10), entry("msr"), entry("hlt")]);
        assert!(of_kvm("no trace\n").is_err());
    }

    #[test]
    fn what_is_written_for_a_mark_is_not_part_of_a_round() {
        let write = |text: &str| -> String {
            let byte = |byte: u8| format!("read 3fd 60 serial\nwrite 3f8 {byte:x} serial\n");
            text.bytes().map(byte).collect()
        };
        let text =
            write("mark\r\n") + "read 1f7 50 ide\n" + &write("ab\n") + "read 1f7 50 ide\n" + &write("mark\n");
        let rounds = of_events(&of_qemu(&text).unwrap(), 1).unwrap();
        assert_eq!((rounds[0].entries, rounds[0].kinds["ide"]), (8, 2));
    }
}
