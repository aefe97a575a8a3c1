// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests to the whole guest: poweroff, reboot and suspend of the toolstack ([`xen::control`]), and the
//! power button.

use core::convert::Infallible;
use core::future::Future;

use embassy_futures::join::join;
use embassy_time::{Duration, Timer};
use log::{info, warn};
use prism_boot::firmware::acpi::PowerButton;
use prism_drivers::hal::Interrupt;
use prism_drivers::power::{Button, take_over};
use prism_executor::request::Request as Pending;
use xen::control::{self, Features, Request, SHUTDOWN, Shutdown};
use xen::sched::Resumed;
use xen::xenstore::{Client, Excerpt, Result};

use crate::hypervisor::{suspend, xenstore};
use crate::irq::Irq;
use crate::ports::CpuPorts;
use crate::power;

/// How long an application that waits for [requests](shutdown_requested) has to return.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// The request, and the tasks that wait for it.
static REQUEST: Pending<ShutdownAction> = Pending::new();

/// How the domain is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownAction {
    /// It is switched off.
    PowerOff,
    /// It starts again.
    Reboot,
}

/// Waits until the domain is asked to end. A caller that waits has [`GRACE_PERIOD`] to return from main; one
/// that drops the future has none.
pub(crate) fn shutdown_requested() -> impl Future<Output = ()> + Send {
    REQUEST.wait()
}

/// Ends as requested, by default with a poweroff. A debugging QEMU gets `status` as its exit status.
pub(crate) fn end(status: u8) -> ! {
    match REQUEST.asked() {
        Some(ShutdownAction::Reboot) => power::reboot(),
        _ => power::off_with(status),
    }
}

/// Ends at once if no task waits for the request, else after the grace period.
pub(crate) async fn shut_down(action: ShutdownAction) {
    if REQUEST.ask(action) {
        Timer::after(GRACE_PERIOD).await;
        warn!("shutdown: the application did not return within {} s, ending it", GRACE_PERIOD.as_secs());
    }
    end(0)
}

/// Serves the toolstack's requests for ever, or until xenstored refuses. Those for vCPUs are served
/// elsewhere, or are not.
pub(crate) async fn serve(store: &'static Client, vcpu_hotplug: bool) {
    let Err(error) = xenstore::persist(store, async || watch(store, vcpu_hotplug).await).await;
    warn!("shutdown: cannot watch for requests of the toolstack, `xl shutdown` will not work: {error}");
}

/// How often the power button is polled where its interrupt does not arrive, and where it does.
const POLL_INTERVAL: core::time::Duration = core::time::Duration::from_secs(1);
const CHECK_INTERVAL: core::time::Duration = core::time::Duration::from_secs(3600);

/// Takes a press of the power button for a request to power off: what `virsh shutdown` and `xl trigger power`
/// do. Enables the button before the task runs: a press before that is lost with QEMU. Never ends but by a
/// press.
pub(crate) fn serve_power_button(told: PowerButton) -> impl Future<Output = ()> {
    let button = Button { status: told.status, enable: told.enable };
    let irq = Irq::open(told.irq.into(), None);
    let limit = if irq.is_some() { CHECK_INTERVAL } else { POLL_INTERVAL };
    let irq = irq.unwrap_or_else(Irq::none);
    if let Some(command) = told.hand_over {
        take_over(&CpuPorts, told.control, command);
    }
    button.enable(&CpuPorts);
    shut_down_when_pressed(button, irq, limit)
}

async fn shut_down_when_pressed(button: Button, irq: Irq, limit: core::time::Duration) {
    let pressed = async || {
        while !button.take_press(&CpuPorts) {
            irq.wait(limit).await;
        }
    };
    pressed().await;
    info!("shutdown: the power button was pressed");
    // A press that nobody takes holds its interrupt up, which would end each sleep at once.
    let pressed_again = async {
        loop {
            pressed().await;
        }
    };
    join(shut_down(ShutdownAction::PowerOff), pressed_again).await;
}

fn ignore(request: &str) {
    let request = Excerpt::of(request.as_bytes());
    warn!("{SHUTDOWN}: unsupported request {request} ignored; use poweroff or reboot");
}

/// Tells the toolstack what it may ask for.
async fn announce(store: &Client, vcpu_hotplug: bool) {
    control::announce(store, Features { suspend: suspend::is_offered(), vcpu_hotplug }).await;
}

async fn watch(store: &Client, vcpu_hotplug: bool) -> Result<Infallible> {
    announce(store, vcpu_hotplug).await;
    let delay = |time: core::time::Duration| Timer::after(Duration::from_micros(time.as_micros() as u64));
    let mut requests = store.watch(SHUTDOWN).await?;
    loop {
        requests.next().await?;
        match control::take_shutdown(store, &delay).await? {
            Request::None => {}
            Request::Taken(request) => {
                info!("shutdown: the toolstack requests {request}");
                shut_down(if request == Shutdown::Reboot {
                    ShutdownAction::Reboot
                } else {
                    ShutdownAction::PowerOff
                })
                .await;
            }
            Request::Suspend if suspend::is_offered() => {
                if suspend::carry_out(store).await? == Some(Resumed::Restored) {
                    // The toolstack has made the domain's directory anew.
                    announce(store, vcpu_hotplug).await;
                }
            }
            Request::Suspend => ignore("suspend"),
            Request::Unknown(request) => ignore(&request),
        }
    }
}
