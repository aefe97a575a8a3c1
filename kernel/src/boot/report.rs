// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot report.
//!
//! All its lines have the log target `prism::boot`, whichever module writes them.

use log::{info, warn};
use prism_boot::BootInfo;

use crate::app::Application;
use crate::boot::environment::Environment;
use crate::hypervisor::event;
use crate::memory;
use crate::task::executor;

const BOOT: &str = "prism::boot";

/// Logs what was found, and the method chosen for each service, a line each.
pub(super) fn report(info: &BootInfo, found: &Environment, application: &Application) {
    info!(target: BOOT, "{found}");
    info!(target: BOOT, "spectrum: {}", found.grid.letters());
    match (found.capabilities.paravirtual(), found.hypercall_method()) {
        (Ok(_), Some(method)) => info!(target: BOOT, "Xen: used, by {}", method.name()),
        (Ok(_), None) => {}
        (Err(reason), _) => info!(target: BOOT, "Xen: not used ({})", reason.reason()),
    }
    let (size, free) = (found.memory / 1024, memory::usage().free / 1024);
    match info.unpopulated / 1024 {
        0 => info!(target: BOOT, "memory: {size} KiB, {free} KiB free"),
        more => info!(target: BOOT, "memory: {size} KiB, {free} KiB free, {more} KiB more when there are"),
    }
    match executor::running().count() {
        running if running == found.vcpus as usize => info!(target: BOOT, "vcpus: {running}"),
        running => info!(target: BOOT, "vcpus: {running} of {}", found.vcpus),
    }
    for line in alloc::format!("{}", found.services).lines() {
        info!(target: BOOT, "{line}");
    }
    if let Some(abi) = event::abi() {
        info!(target: BOOT, "events: {abi}");
    }
    warn_of(info);
    let line = &info.command_line;
    let wrong = [
        line.log_level().err(),
        line.hypercall_method().err(),
        line.console_sinks().err(),
        line.entropy_limit().err(),
        line.block_poll().err(),
        line.network_poll().err(),
        line.event_abi().err(),
        line.upcall_limit().err(),
        line.pv_level().err(),
        line.irqchip_limit().err(),
    ];
    let slots = line.virtio_slots().filter_map(Result::err);
    for error in wrong.into_iter().flatten().chain(slots) {
        warn!(target: BOOT, "command line: {error}");
    }
    for (old, name) in line.renamed(application.params) {
        warn!(target: BOOT, "command line: {old}= is now {name}=; the old name will be removed");
    }
    for word in line.unknown(application.params) {
        warn!(
            target: BOOT,
            "command line: ignoring {}, unknown to the kernel and to {}",
            word.name, application.name
        );
    }
}

/// Logs what was odd in the loader's information.
pub(super) fn warn_of(info: &BootInfo) {
    for note in info.notes.iter() {
        warn!(target: BOOT, "{note}");
    }
}
