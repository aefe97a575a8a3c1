// SPDX-License-Identifier: MIT OR Apache-2.0
//! Suspending the domain, so that it can be saved, checkpointed or migrated, and what comes after it.
//!
//! Xen keeps of a domain that is saved its memory and its vCPUs, and nothing else. Who calls whom:
//!
//! ```text
//!  lifecycle::watch -> suspend::carry_out -> stop::stop_and_suspend -> suspend::suspend -> Machine::suspend
//!  the request         steps 2 and 3         step 4                    steps 5 and 6       the hypercall
//! ```
//!
//! The steps:
//!
//! 1. The toolstack writes `suspend` to `control/shutdown`, which a task [watches](super::lifecycle). Where
//!    suspending would not work it is not offered, and the request is left alone: the toolstack gives up
//!    after a minute.
//! 2. Tasks that [want to know](about_to_suspend) are asked, and may refuse. Disks are drained: a write that
//!    is in flight could be done twice, and in the wrong order. A disk that does not answer is a reason to
//!    leave the request alone, too, and so is a page of another domain's that is mapped.
//! 3. The request is acknowledged. From here on xenstore is left in peace, as a request that is half sent
//!    would be the first thing that the next xenstored reads.
//! 4. All vCPUs stop between their tasks ([`stop`]). Whatever a task holds across an `.await` survives.
//! 5. The vCPU that boots suspends the domain ([`suspend`]), from its run loop. A PV domain's page tables
//!    lead to no frame but its own meanwhile, as those are all that the toolstack can save.
//! 6. If that was cancelled, or the domain was copied, all is as before. If the domain was restored, the
//!    interface to Xen is [made again](XenInterface::resume) in place: every address stays, event channels
//!    get other ports, grants of before are void.
//! 7. Tasks go on. Drivers find that their backends are gone and connect to those that the toolstack made;
//!    what they were asked for meanwhile waits.
//!
//! Monotonic time stands still from step 5 to step 6, however long that is: as Linux's `CLOCK_MONOTONIC`
//! does.

use core::future::Future;

use embassy_time::{Duration, TimeoutError, Timer, with_timeout};
use log::{info, warn};
use prism_arch::cpu;
use prism_arch::machine::ToolstackPorts;
use prism_boot::BootInfo;
use prism_boot::services::{Clock, Upcall};
use prism_executor::announcement::Announcement;
use prism_executor::consent::{Consent, Question};
use spin::{Mutex, Once};
use xen::control;
use xen::sched::Resumed;
use xen::xenstore::{Client, Error, Result};

use crate::boot::environment::Environment;
use crate::hypervisor::grant;
use crate::hypervisor::interface::XenInterface;
use crate::task::{executor, stop};
use crate::{console, devices, entropy, time};

/// How long tasks have that want to know before.
const CONSENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long disks have to answer what is in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long xenstored has to answer what it was asked.
const XENSTORE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long others have to read what is on the console.
const CONSOLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is looked whether they have.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// vCPUs whose structures are in `shared_info`. Those beyond have to register theirs, which only they
/// themselves can do again.
const MAX_VCPUS: u32 = xen_sys::arch_x86::xen::XEN_LEGACY_MAX_VCPUS;

static CONSENT: Consent = Consent::new();
static RESUMED: Announcement<Resumed> = Announcement::new();

/// Waits until the domain is about to be suspended, which waits for what this returns to be dropped.
pub(crate) fn about_to_suspend() -> Question<'static> {
    CONSENT.question()
}

/// Waits until the domain goes on after it was suspended.
pub(crate) fn resumed() -> impl Future<Output = Resumed> + Send {
    RESUMED.next()
}

/// What is to be brought up again, where suspending works.
static DOMAIN: Once<Domain> = Once::new();

struct Domain {
    xen: XenInterface,
    upcall: Upcall,
    /// The event channels of the toolstack's rings.
    ports: Mutex<ToolstackPorts>,
}

/// Offers to suspend the domain, if that will work; says why not, if a toolstack could ask for it.
pub(crate) fn init(xen: Option<XenInterface>, info: &BootInfo, environment: &Environment) {
    let (Some(xen), Some(store)) = (xen, info.store) else { return };
    if let Err(reason) = is_possible(&xen, environment) {
        return info!("suspend: not offered: {reason}; `xl save` and `xl migrate` will give up");
    }
    let ports = ToolstackPorts { console: info.console.map_or(0, |ring| ring.port), store: store.port };
    let upcall = environment.services.upcall.chosen;
    DOMAIN.call_once(|| Domain { xen, upcall, ports: Mutex::new(ports) });
}

/// Whether the domain would go on after it was restored.
fn is_possible(xen: &XenInterface, environment: &Environment) -> core::result::Result<(), &'static str> {
    let features = environment.capabilities.xen.as_ref();
    if xen.shared_info().is_none() {
        return Err("there is no shared_info");
    }
    if environment.xen.is_none_or(|xen| xen.extra.is_none()) {
        return Err("this Xen is emulated");
    }
    if features.is_some_and(|xen| xen.in_container) {
        return Err("the domain is in a PV shim");
    }
    // Emulated timers are Xen's, too, which saves them with the vCPUs; `Alarm::forget` does the rest.
    if environment.services.clock.chosen != Clock::Xen {
        return Err("the clock is not Xen's");
    }
    if environment.vcpus > MAX_VCPUS {
        return Err("more than 32 vCPUs");
    }
    Ok(())
}

/// Whether the toolstack may ask for it.
pub(crate) fn is_offered() -> bool {
    DOMAIN.is_completed()
}

/// Carries out a request to suspend that stands in xenstore. It is left there if that is not possible now.
///
/// # Errors
///
/// When the connection to xenstored breaks. One that is lost by a restore is there again.
pub(crate) async fn carry_out(store: &Client) -> Result<Option<Resumed>> {
    match with_timeout(CONSENT_TIMEOUT, CONSENT.ask()).await {
        Ok(true) => {}
        Ok(false) => {
            info!("suspend: the application refuses");
            return Ok(None);
        }
        Err(TimeoutError) => {
            warn!("suspend: not waiting longer than {} s for the application", CONSENT_TIMEOUT.as_secs());
        }
    }
    if !devices::drain(DRAIN_TIMEOUT).await {
        warn!("suspend: not possible now, a disk does not answer");
        return Ok(None);
    }
    let resumed = match grant::foreign_pages() {
        0 => acknowledged(store).await,
        count => {
            warn!("suspend: not possible while other domains are served: {count} of their pages are mapped");
            Ok(None)
        }
    };
    devices::go_on();
    if let Ok(Some(how)) = resumed {
        RESUMED.announce(how);
    }
    resumed
}

/// Acknowledges the request, and suspends the domain.
async fn acknowledged(store: &Client) -> Result<Option<Resumed>> {
    let delay = |time: core::time::Duration| Timer::after(Duration::from_micros(time.as_micros() as u64));
    match control::acknowledge_suspend(store, &delay).await {
        Ok(true) => {}
        Ok(false) => {
            info!("suspend: the toolstack has withdrawn its request");
            return Ok(None);
        }
        Err(error @ Error::Disconnected(_)) => return Err(error),
        Err(error) => {
            warn!("suspend: not possible, it cannot be acknowledged: {error}");
            return Ok(None);
        }
    }
    info!("suspend: the toolstack requests it");
    let resumed = if be_quiet(store).await { stop::stop_and_suspend().await } else { None };
    store.hold(false);
    match resumed {
        Some(Ok(Resumed::Cancelled)) => info!("resume: the same domain goes on"),
        Some(Ok(Resumed::Restored)) => info!("resume: the domain was restored"),
        Some(Err(xen::Errno::BUSY)) => {
            warn!("suspend: not possible, pages of other domains were mapped meanwhile")
        }
        Some(Err(errno)) => warn!("suspend: Xen refused it ({errno})"),
        None => warn!("suspend: not possible, a task does not yield or xenstored does not answer"),
    }
    Ok(resumed.and_then(core::result::Result::ok))
}

/// Keeps requests from xenstored, and waits until none is under way, and until the console was read. Whether
/// that did not take too long.
async fn be_quiet(store: &Client) -> bool {
    until(XENSTORE_TIMEOUT / 2, || store.is_idle()).await;
    until(CONSOLE_TIMEOUT, console::is_read).await;
    // Who has asked meanwhile is served afterwards, or told to ask again if the domain was restored.
    store.hold(true);
    until(XENSTORE_TIMEOUT, || store.is_quiet()).await
}

async fn until(timeout: Duration, done: impl Fn() -> bool) -> bool {
    let poll = async {
        while !done() {
            Timer::after(POLL_INTERVAL).await;
        }
    };
    with_timeout(timeout, poll).await.is_ok()
}

/// Suspends the domain, and returns when it goes on. For the boot vCPU, while all others wait.
pub(crate) fn suspend() -> xen::error::Result<Resumed> {
    let domain = DOMAIN.get().ok_or(xen::Errno::NOSYS)?;
    // A task may have mapped one since the request was acknowledged. None can any more.
    if grant::foreign_pages() != 0 {
        return Err(xen::Errno::BUSY);
    }
    let machine = domain.xen.machine();
    // The last time that is asked for is where it goes on.
    time::nanoseconds();
    let resumed = match grant::unmap_frames() {
        // SAFETY: all other vCPUs wait, the frames of the grant table are unmapped, there are no foreign
        // pages, and what is shared is made anew before it is used.
        Ok(()) => unsafe { machine.suspend() },
        Err(_) => Err(xen::Errno::INVAL),
    };
    if resumed == Ok(Resumed::Restored) {
        // SAFETY: it was just restored.
        if let Err(reason) = unsafe { domain.xen.resume(domain.upcall, &mut domain.ports.lock()) } {
            panic!("the restored domain cannot go on: {reason}");
        }
        devices::emulated::unplug_again();
    } else if let Err(error) = grant::map_frames() {
        panic!("the domain cannot go on after a suspend that was cancelled: {error}");
    }
    time::resume();
    executor::resume();
    mix_random_numbers();
    resumed
}

/// Makes random numbers others than those of a copy of the domain, before any task asks for one.
fn mix_random_numbers() {
    let date = time::wall_clock().unwrap_or_default().as_nanos();
    entropy::mix(&(date ^ u128::from(cpu::timestamp()).rotate_left(64)).to_le_bytes());
}
