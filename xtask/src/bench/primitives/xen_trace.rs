// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's trace as `xentrace` writes it (`xen/include/public/trace.h`): what a guest did, one thing after the
//! other.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::rounds::Event;

/// What is traced: who runs (`TRC_SCHED_MIN`), exits (`TRC_HVM_ENTRYEXIT`), and how PV domains enter Xen
/// (`TRC_PV_ENTRY`).
pub(super) const TRACED: &str = "0x002a1000";

// Events.
const LOST_RECORDS: u32 = 0x0001_f001;
const CPU_CHANGE: u32 = 0x0001_f003;
const RUNSTATE_CHANGE: u32 = 0x0002_1001;
const CONTINUE_RUNNING: u32 = 0x0002_1002;
/// An exit of AMD's (`TRC_HVM_SVM_EXIT`): the lab's processor is such a one.
const VMEXIT: u32 = 0x0008_1003;
const PV_ENTRY: u32 = 0x0020_1000;
const PV_HYPERCALL_V2: u32 = 0x0020_100d;

/// The flag of an event whose addresses have 64 bits (`TRC_64_FLAG`).
const WIDE: u32 = 0x100;
/// The bits of an event of the scheduler's that tell the states before and after.
const STATES: u32 = 0xff0;

/// Hypercalls by their numbers, as `xen/include/public/xen.h` names them: those that guests make often.
const HYPERCALLS: [(u32, &str); 14] = [
    (1, "mmu_update"),
    (5, "fpu_taskswitch"),
    (12, "memory_op"),
    (13, "multicall"),
    (14, "update_va_mapping"),
    (15, "set_timer_op"),
    (17, "xen_version"),
    (18, "console_io"),
    (20, "grant_table_op"),
    (23, "iret"),
    (24, VCPU_OP.1),
    (26, "mmuext_op"),
    (29, "sched_op"),
    (32, "evtchn_op"),
];

/// The hypercall that marks are made by, and the vCPU that it names then.
const VCPU_OP: (u32, &str) = (24, "vcpu_op");
const NO_VCPU: u32 = 0x5000;

/// What else has a PV domain enter Xen, by the last bits of the event.
const TRAPS: [(u32, &str); 9] = [
    (3, "trap"),
    (4, "page fault"),
    (5, "emulated CPUID"),
    (6, "emulated instruction"),
    (7, "emulated 4 GiB segment"),
    (8, "trap for registers"),
    (10, "fault of a descriptor table"),
    (11, "emulated page-table write"),
    (12, "emulated page-table write"),
];

/// Exits by AMD's codes.
const EXITS: [(u32, &str); 16] = [
    (0x00, "control register"),
    (0x40, "exception"),
    (0x60, INTERRUPT),
    (0x61, INTERRUPT),
    (0x64, "interrupt window"),
    (0x6e, "rdtsc"),
    (CPUID, "cpuid"),
    (0x77, "pause"),
    (0x78, "hlt"),
    (0x79, "invlpg"),
    (0x7b, "port"),
    (0x7c, "msr"),
    (0x81, "hypercall"),
    (0x87, "rdtscp"),
    (0x89, "wbinvd"),
    (0x400, "memory"),
];
const CPUID: u32 = 0x72;

/// The machine's own interrupts, which are not for the guest.
const INTERRUPT: &str = "interrupt";

/// What the guest did: the one domain that is HVM or PVH, or else the one that is not dom0.
///
/// # Errors
/// If records are missing, or it is no trace.
pub(super) fn events(trace: &[u8]) -> Result<Vec<Event>> {
    let (words, rest) = trace.as_chunks::<4>();
    if !rest.is_empty() {
        bail!("the trace ends within a word");
    }
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let mut running: HashMap<u32, u32> = HashMap::new();
    let mut cpu = 0;
    let mut found: Vec<(u64, Event)> = Vec::new();
    while let Some(header) = words.next() {
        let mut word = || words.next().context("the trace ends within a record");
        let event = header & 0x0fff_ffff;
        let time = if header >> 31 == 1 {
            u64::from(word()?) | u64::from(word()?) << 32
        } else {
            Default::default()
        };
        let data = (0..header >> 28 & 7).map(|_| word()).collect::<Result<Vec<u32>>>()?;
        let first = data.first().copied().unwrap_or_default();
        match event {
            LOST_RECORDS => bail!("Xen had no room for all of the trace"),
            CPU_CHANGE => cpu = first,
            _ if event & !STATES == RUNSTATE_CHANGE => {
                let [before, after] = [event >> 8 & 0xf, event >> 4 & 0xf];
                if after == 0 {
                    running.insert(cpu, first >> 16);
                } else if before == 0 {
                    running.remove(&cpu);
                }
            }
            CONTINUE_RUNNING => drop(running.insert(cpu, first >> 16)),
            _ if event & !WIDE == VMEXIT => found.extend(exit(&data).map(|event| (time, event))),
            _ if event & 0xffff_f000 == PV_ENTRY && running.get(&cpu).is_some_and(|domain| *domain != 0) => {
                found.extend(entry(event, &data).map(|event| (time, event)));
            }
            _ => {}
        }
    }
    // Each processor's records are in order, but not those of several.
    found.sort_by_key(|(time, _)| *time);
    Ok(found.into_iter().map(|(_, event)| event).collect())
}

/// An exit of an HVM or PVH guest's; none if it is not for the guest.
fn exit(data: &[u32]) -> Option<Event> {
    let code = *data.first()?;
    if code == CPUID {
        let [low, high] = [1, 2].map(|place| u64::from(data.get(place).copied().unwrap_or_default()));
        return Some(Event::Cpuid(low | high << 32));
    }
    match named(&EXITS, code) {
        Some(INTERRUPT) => None,
        Some(name) => Some(Event::Entry(name.into())),
        None if (0x40..0x60).contains(&code) => Some(Event::Entry("exception".into())),
        None => Some(Event::Entry(format!("exit {code:#x}").into())),
    }
}

/// How a PV domain entered Xen.
fn entry(event: u32, data: &[u32]) -> Option<Event> {
    let first = data.first().copied().unwrap_or_default();
    if event != PV_HYPERCALL_V2 {
        return named(&TRAPS, event & 0xff).map(|name| Event::Trap(name.into()));
    }
    let number = first & 0xf_ffff;
    if number == VCPU_OP.0 && data.get(2) == Some(&NO_VCPU) {
        return Some(Event::Mark);
    }
    let unnamed = || Cow::from(format!("hypercall {number}"));
    Some(Event::Entry(named(&HYPERCALLS, number).map_or_else(unnamed, Cow::from)))
}

fn named(names: &[(u32, &'static str)], number: u32) -> Option<&'static str> {
    names.iter().find(|(other, _)| *other == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record: an event, its time, and what belongs to it.
    fn record(event: u32, time: u64, data: &[u32]) -> Vec<u8> {
        let header = 1 << 31 | (data.len() as u32) << 28 | event;
        let words = [header, time as u32, (time >> 32) as u32].into_iter().chain(data.iter().copied());
        words.flat_map(u32::to_le_bytes).collect()
    }

    /// What `xentrace` writes in front of what one processor has traced.
    fn processor(number: u32) -> Vec<u8> {
        [2 << 28 | CPU_CHANGE, number, 0].into_iter().flat_map(u32::to_le_bytes).collect()
    }

    fn entry(name: &'static str) -> Event {
        Event::Entry(name.into())
    }

    #[test]
    fn only_what_a_pv_domain_does_is_its_own_and_processors_are_put_in_order() {
        let runs = |domain: u32, time| record(RUNSTATE_CHANGE | 1 << 8, time, &[domain << 16]);
        let ends = |domain: u32, time| record(RUNSTATE_CHANGE | 2 << 4, time, &[domain << 16]);
        let other_wakes = record(RUNSTATE_CHANGE | 2 << 8 | 1 << 4, 12, &[9 << 16]);
        let calls = |number: u32, time| record(PV_HYPERCALL_V2, time, &[number]);
        let mark = |time| record(PV_HYPERCALL_V2, time, &[24 | 5 << 20, 3, NO_VCPU]);
        let trace = [
            processor(1),
            runs(7, 20),
            calls(32, 21),
            record((PV_ENTRY + 6) | WIDE, 22, &[0, 0]),
            mark(23),
            processor(0),
            calls(29, 9),
            runs(0, 10),
            calls(29, 11),
            runs(7, 11),
            other_wakes,
            mark(13),
            ends(7, 14),
            calls(29, 15),
        ];
        let trap = Event::Trap("emulated instruction".into());
        assert_eq!(events(&trace.concat()).unwrap(), [Event::Mark, entry("evtchn_op"), trap, Event::Mark]);
    }

    #[test]
    fn an_exit_is_a_guests_but_for_the_machines_interrupts() {
        let exit = |code: u32, time| record(VMEXIT | WIDE, time, &[code, 0x10_0000, 0]);
        let trace =
            [processor(0), exit(CPUID, 1), exit(0x60, 2), exit(0x81, 3), exit(0x4e, 4), exit(0x999, 5)];
        let found = events(&trace.concat()).unwrap();
        assert_eq!(
            found,
            [Event::Cpuid(0x10_0000), entry("hypercall"), entry("exception"), entry("exit 0x999")]
        );
    }

    #[test]
    fn a_trace_with_gaps_is_none() {
        assert!(events(&[processor(0), record(LOST_RECORDS, 1, &[1])].concat()).is_err());
        assert!(events(&record(VMEXIT, 1, &[1])[..8]).is_err());
        assert!(events(&[1, 2, 3]).is_err());
    }
}
