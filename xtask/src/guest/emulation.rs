// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that the lab's processors failed, which are emulated: now and then one is resumed with registers of
//! the hypervisor beneath it in place of its own, mostly one whose vCPU moves between processors. Or they are
//! so slow, where this machine has other things to do, that `xl` waits in vain for a device model or a
//! script.

use anyhow::Result;

use super::spent::Spent;
use super::{Ending, Outcome};

/// How often a guest is run again.
const MOST_FAULTS: u32 = 2;

/// The processor, of the two that a lab's machine has, that guests are kept on: the other one takes the
/// machine's interrupts.
pub const QUIET_PROCESSOR: u32 = 1;

/// Runs a guest, and again if it was failed, which the outcome counts.
///
/// # Errors
/// Those of `run`.
pub fn outlast(mut run: impl FnMut() -> Result<Outcome>) -> Result<Outcome> {
    let (mut lab_faults, mut spent) = (0, Spent::default());
    loop {
        let outcome = run()?;
        spent += outcome.spent;
        let is_the_labs = ran_as_the_hypervisor(&outcome.machine) || toolstack_gave_up(&outcome.ending);
        if lab_faults == MOST_FAULTS || !is_the_labs {
            return Ok(Outcome { lab_faults, spent, ..outcome });
        }
        lab_faults += 1;
    }
}

/// Whether libxl ended a guest before it ran, as QEMU had not answered in time (`ERROR_TIMEDOUT`, libxl.h),
/// or a hotplug script was not done in time (`LIBXL_HOTPLUG_TIMEOUT`, libxl_internal.h).
fn toolstack_gave_up(ending: &Ending) -> bool {
    let Ending::NotStarted(reason) = ending else { return false };
    let has_all = |words: [&str; 2]| words.iter().all(|word| reason.contains(word));
    has_all(["device_model", "rc=-9"]) || has_all(["killing execution of", "because of timeout"])
}

/// Whether what the machine beneath tells of a guest are the hypervisor's registers.
fn ran_as_the_hypervisor(machine: &str) -> bool {
    ran_as_xen(machine) || machine.lines().any(is_linux_idt)
}

/// Whether Xen reports a guest with its own code segment (`__HYPERVISOR_CS`, xen/include/asm/config.h), which
/// no guest of ours has, and the RIP behind its own VMRUN.
fn ran_as_xen(machine: &str) -> bool {
    machine.contains("Triple fault") && machine.contains("RIP:    e008:[<ffff82d0")
}

/// Whether QEMU reports a guest with the interrupt table where Linux has it (`CPU_ENTRY_AREA_RO_IDT`,
/// arch/x86/include/asm/cpu_entry_area.h): a guest of ours has it in its image.
fn is_linux_idt(line: &str) -> bool {
    line.strip_prefix("IDT=").is_some_and(|table| table.trim_start().starts_with("fffffe0000000000 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xens_dump(rip: &str) -> String {
        format!("(XEN) d5v0 Triple fault - invoking\n(XEN) RIP:    {rip}\n")
    }

    #[test]
    fn a_guest_that_ran_as_the_hypervisor_is_not_to_blame() {
        assert!(ran_as_the_hypervisor(&xens_dump("e008:[<ffff82d040215abd>]")));
        assert!(!ran_as_the_hypervisor(&xens_dump("0008:[<000000000016c00b>]")));
        assert!(!ran_as_the_hypervisor("(XEN) RIP:    e008:[<ffff82d040215abd>]\n"));
        assert!(ran_as_the_hypervisor("CPU#0\nIDT=     fffffe0000000000 00000fff\n"));
        assert!(!ran_as_the_hypervisor("CPU#0\nIDT=     000000000019c4a0 00000fff\n"));
    }

    #[test]
    fn a_guest_that_xl_did_not_wait_for_is_not_to_blame() {
        let told = |words: &str| toolstack_gave_up(&Ending::NotStarted(words.to_owned()));
        assert!(told("device_model_postconfig_done: Domain 4:Post DM startup configs failed, rc=-9"));
        assert!(!told("device_model_postconfig_done: Domain 4:Post DM startup configs failed, rc=-3"));
        assert!(!told("libxl__xs_transaction_start: rc=-9"));
        let script = "libxl_aoutils.c:539:async_exec_timeout: killing execution of /etc/xen/scripts/block";
        assert!(told(&format!("{script} add because of timeout")));
        assert!(!told(script) && !toolstack_gave_up(&Ending::Crash));
    }

    #[test]
    fn it_runs_again_but_not_for_ever() {
        let ran = |machine: String| Ok(Outcome::new(Ending::Crash, String::new(), machine));
        let fault = || xens_dump("e008:[<ffff82d040215abd>]");
        let mut dumps = vec![String::new(), fault()];
        assert_eq!(outlast(|| ran(dumps.pop().unwrap())).unwrap().lab_faults, 1);
        let mut runs = 0;
        let outcome = outlast(|| {
            runs += 1;
            ran(fault())
        });
        assert_eq!((outcome.unwrap().lab_faults, runs), (MOST_FAULTS, MOST_FAULTS + 1));
    }
}
