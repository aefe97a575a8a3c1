// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot: from the entry of the boot protocol to the application's main.

mod consoles;
pub mod environment;
mod loader;
mod phases;
pub(crate) mod probe;
mod report;

use alloc::sync::Arc;
use core::future::Future;

use prism_arch::{Entry, Machine};
use prism_boot::services::DeviceBus;
use prism_drivers::block::romdisk::RomDisk;

use crate::app::{Application, Context};
use crate::console::{self, panic};
use crate::devices::{self, disks};
use crate::hypervisor::{balloon, lifecycle, sysrq, xenstore};
use crate::println;
use crate::task::smp::Vcpus;
use crate::task::{executor, hotplug};
use phases::Entered;

unsafe extern "Rust" {
    /// The application; its image defines it with [`app!`](crate::app!).
    safe fn prism_application() -> Application;
}

/// The kernel's first function. The entry of every boot protocol ends here.
#[unsafe(no_mangle)]
fn prism_start_kernel(entry: Entry) -> ! {
    let booted = Entered::at(entry)
        .read_loader()
        .detect()
        .open_console()
        .map_memory()
        .route_irqs()
        .join_xen()
        .start_clock()
        .start_vcpus();
    let (machine, info, environment) = (booted.machine, booted.info, booted.environment);
    let vcpus = booted.vcpus;
    let application = prism_application();
    console::write_at_once(|| report::report(info, environment, &application));
    start_tasks(machine, application, Context { info, environment }, vcpus);
    executor::run(machine, environment.services.timer.chosen, environment.services.upcall.chosen)
}

/// Spawns the kernel's tasks and the application's. Aborts the boot if there is no memory for them.
///
/// None of them runs before all are spawned, and the order in which they run first is not this one. Drivers
/// of disks and network interfaces start when the application asks for those.
fn start_tasks(machine: &'static dyn Machine, application: Application, context: Context, vcpus: Vcpus) {
    start(console::flush_kept());
    console::run();
    if let Some(ring) = context.info.store {
        start(xenstore::pump(ring));
        if let Some(store) = xenstore::client() {
            // vCPUs of an initial domain are nobody else's business.
            let vcpu_hotplug = vcpus.most > 1 && !context.environment.capabilities.is_initial_domain();
            start(lifecycle::serve(store, vcpu_hotplug));
            start(sysrq::serve(store));
            start(balloon::serve(machine, store, context.environment));
            if vcpu_hotplug {
                start(hotplug::serve(store, &context.environment.acpi, vcpus));
            }
        }
    }
    // An initial domain sees the machine's own button, which is not for it.
    if context.environment.capabilities.has_emulated_platform()
        && let Some(button) = context.environment.acpi.power_button
    {
        start(lifecycle::serve_power_button(button));
    }
    if let Some(contents) = context.ramdisk() {
        disks::add(disks::RAMDISK, Arc::new(RomDisk::new("ram0".into(), contents)));
    }
    if context.environment.services.disk.chosen == DeviceBus::Xenbus
        && context.environment.capabilities.has_emulated_platform()
    {
        devices::emulated::init();
    }
    start(run(application, context));
}

fn start(task: impl Future<Output = ()> + 'static) {
    executor::spawn(task).unwrap_or_else(|error| panic::abort_boot(&error));
}

/// Runs the application, and reports its verdict in XTF's form, as the last line.
async fn run(application: Application, context: Context) {
    println!("--- Prism ---");
    println!("Environment: {}", context.environment);
    println!("{}", application.name);
    let outcome = (application.main)(context).await;
    console::end();
    if let Some(reason) = &outcome.reason {
        println!("error: {reason}");
    }
    if console::lost() != 0 {
        log::debug!("console: {} bytes dropped, nobody read them", console::lost());
    }
    println!("Test result: {}", outcome.verdict);
    lifecycle::end(outcome.verdict.exit_status())
}
