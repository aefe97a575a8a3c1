// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that the toolstack sends (`xl sysrq NAME KEY`): each is answered on the console, whatever the log
//! level, in a bounded number of lines.

use core::convert::Infallible;
use core::time::Duration;

use embassy_time::Timer;
use log::warn;
use prism_arch::hypercall::Hypervisor;
use prism_executor::sysrq::Sysrq;
use xen::control::{self, SYSRQ};
use xen::xenstore::{Client, Error, Result};

use crate::hypervisor::{event, grant, xenstore};
use crate::task::executor;
use crate::{console, devices, power, report};

/// What each answer begins with.
const PREFIX: &str = "prism::sysrq: ";
/// vCPUs that are interrupted, to tell where they are.
const MAX_BACKTRACES: usize = 8;
/// How long a vCPU has to report where it is before the next one is interrupted.
const REPORT_TIME: embassy_time::Duration = embassy_time::Duration::from_millis(50);

/// Writes a line of an answer.
macro_rules! answer {
    ($($argument:tt)*) => {
        console::print_line(format_args!("{PREFIX}{}", format_args!($($argument)*)))
    };
}

/// Serves keys for ever, or until xenstored refuses.
pub(crate) async fn serve(store: &'static Client) {
    let Err(error) = xenstore::persist(store, async || watch(store).await).await;
    warn!("sysrq: cannot watch for keys, `xl sysrq` will not work: {error}");
}

async fn watch(store: &Client) -> Result<Infallible> {
    let delay = |time: Duration| Timer::after(embassy_time::Duration::from_micros(time.as_micros() as u64));
    let mut keys = store.watch(SYSRQ).await?;
    loop {
        keys.next().await?;
        match control::take_sysrq(store, &delay).await {
            Ok(Some(key)) => obey(key).await,
            Ok(None) => {}
            Err(error @ Error::Disconnected(_)) => return Err(error),
            Err(error) => warn!("{SYSRQ}: a key was ignored that cannot be acknowledged: {error}"),
        }
    }
}

async fn obey(key: u8) {
    match Sysrq::of(key) {
        Sysrq::Reboot => {
            answer!("rebooting");
            power::reboot()
        }
        Sysrq::Crash => panic!("the toolstack requests a crash (sysrq)"),
        Sysrq::Help => answer!("{}", Sysrq::HELP),
        Sysrq::Vcpus => tell_vcpus().await,
        Sysrq::Memory => tell_memory(),
        Sysrq::PowerOff => {
            answer!("switching off");
            power::off()
        }
        Sysrq::Tasks => tell_tasks(),
        Sysrq::Waiting => tell_waiting(),
    }
}

fn tell_memory() {
    console::print(format_args!("{PREFIX}memory\n{}", report::memory()));
    if let Some(grants) = grant::table().map(xen::grant::Table::report) {
        answer!(
            "grants: {} pages granted ({} at most), {} not given back, {} pages of others mapped",
            grants.granted,
            grants.peak,
            grants.quarantined,
            grant::foreign_pages()
        );
    }
    answer!("events: {} ports open", event::open_ports());
}

fn tell_tasks() {
    console::print(format_args!("{PREFIX}tasks\n{}", report::tasks()));
    answer!("{} polls were long, tasks have spun {} times", executor::long_polls(), executor::spins());
}

/// Tells what each vCPU does, and has those that do not run this task tell where.
async fn tell_vcpus() {
    let own = prism_arch::vcpu::number();
    for (vcpu, activity) in executor::running().filter_map(|vcpu| Some((vcpu, executor::activity(vcpu)?))) {
        answer!("vCPU {vcpu} {activity}, {} tasks", executor::tasks_of(vcpu));
    }
    for vcpu in executor::running().filter(|vcpu| *vcpu != own).take(MAX_BACKTRACES) {
        if let Err(errno) = xen::vcpu::send_nmi(&Hypervisor, vcpu) {
            return answer!("Xen does not interrupt other vCPUs ({errno})");
        }
        Timer::after(REPORT_TIME).await;
    }
}

fn tell_waiting() {
    let mut disks = 0;
    devices::for_each_vbd(|name, in_flight| {
        disks += 1;
        if in_flight != 0 {
            answer!("disk {name}: {in_flight} requests in flight");
        }
    });
    let idle = if xenstore::client().is_none_or(Client::is_idle) { "idle" } else { "waiting for an answer" };
    answer!("{disks} disks of the toolstack, xenstore {idle}");
}
