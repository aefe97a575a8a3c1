// SPDX-License-Identifier: MIT OR Apache-2.0
//! The xenbus bus: finds the devices of each driver in xenstore, and runs a task for each device.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::time::Duration;

use embassy_time::{Instant, Timer};
use log::{debug, info, warn};
use prism_drivers::backoff::Backoff;
use spin::Mutex;
use xen::xenbus::{self, Bus, Device, Ended, Failure, StepLimit};
use xen::xenstore::{self, Client, Refusal};

use crate::hypervisor::xenstore::persist;
use crate::task::executor;

/// Pauses before a driver is restarted. A device that always fails must not keep the guest busy.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Time for each step of the handshake with a backend: a host that is busy needs some for a hotplug script.
pub(super) static STEP_LIMIT: StepLimit = StepLimit::new(Duration::from_secs(30));

/// A driver for a class of devices.
pub(crate) trait XenbusDriver: Sync {
    /// The class's directory below `device/`, such as `vbd`.
    const DIRECTORY: &'static str;

    /// Why a driver failed.
    type Error: fmt::Display;

    /// Called with the numbers of all devices, in ascending order: after the scan at boot ([`Scan::First`]),
    /// and after each change.
    fn scanned(&self, devices: &[u32], scan: Scan);

    /// Drives a device until it is removed. Called again when the device or its backend is made anew or
    /// reconnects.
    fn drive(&self, number: u32, device: Device) -> impl Future<Output = Ended<Self::Error>>;

    /// Called when a device cannot be driven now, as its nodes are invalid or cannot be read.
    fn unusable(&self, _number: u32) {}

    /// Called when a device is gone, or is given no task.
    fn removed(&self, number: u32);
}

/// When a scan took place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// At boot.
    First,
    /// Later.
    Later,
}

/// Runs a driver's devices for ever, or until xenstored refuses.
pub(crate) async fn run_driver<C: XenbusDriver>(driver: &'static C, store: &'static Client) {
    let bound = Bound::default();
    let mut scan = Scan::First;
    let scan_once = async || {
        let ended = scan_bus(driver, store, &bound, &mut scan).await;
        if scan == Scan::First {
            // Whoever waits for the devices of the boot must not wait for xenstored to come back.
            driver.scanned(&[], scan);
            scan = Scan::Later;
        }
        ended
    };
    let Err(error) = persist(store, scan_once).await;
    warn!("device/{}: cannot watch, hotplug will not work: {error}", C::DIRECTORY);
    driver.scanned(&[], Scan::Later);
}

/// The devices that have a task.
type Bound = Arc<Mutex<BTreeSet<u32>>>;

async fn scan_bus<C: XenbusDriver>(
    driver: &'static C,
    store: &'static Client,
    bound: &Bound,
    scan: &mut Scan,
) -> xenstore::Result<Infallible> {
    let mut bus = Bus::watch(store, C::DIRECTORY).await?;
    loop {
        let devices = bus.next().await?;
        driver.scanned(&devices, *scan);
        *scan = Scan::Later;
        for number in devices {
            if !bound.lock().insert(number) {
                continue;
            }
            let ended = Arc::clone(bound);
            let task = async move {
                // The device keeps its task while xenstored is away.
                let attention = async || {
                    let ended = drive_device(driver, store, number).await;
                    driver.unusable(number);
                    ended
                };
                if let Err(error) = persist(store, attention).await {
                    warn!("device/{}/{number} disabled: {error}", C::DIRECTORY);
                }
                ended.lock().remove(&number);
                driver.removed(number);
            };
            if let Err(error) = executor::spawn(task) {
                warn!("device/{}/{number} not used: {error}", C::DIRECTORY);
                // It is tried again when a device comes or goes.
                bound.lock().remove(&number);
                driver.removed(number);
            }
        }
    }
}

/// Drives a device while it exists.
async fn drive_device<C: XenbusDriver>(driver: &C, store: &Client, number: u32) -> xenstore::Result<()> {
    let path = format!("device/{}/{number}", C::DIRECTORY);
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let mut backend = None;
        let begun = Instant::now();
        match Device::open(store, &path).await {
            Ok(device) => {
                backend = Some(device.backend().to_string());
                match driver.drive(number, device).await {
                    Ended::Stopped => debug!("{path}: closed"),
                    Ended::Gone => info!("{path}: removed"),
                    Ended::Restored => continue,
                    Ended::Failed(Failure::Xenstore(error @ xenstore::Error::Disconnected(_))) => {
                        return Err(error);
                    }
                    Ended::Failed(failure) => warn!("{path}: driver failed, will retry: {failure}"),
                }
            }
            Err(error @ xenstore::Error::Disconnected(_)) => return Err(error),
            Err(error) => {
                warn!("{path}: invalid device node, device ignored: {error}");
                driver.unusable(number);
            }
        }
        let lasted = begun.elapsed();
        let delay = |time: Duration| Timer::after(time.try_into().unwrap_or(embassy_time::Duration::MAX));
        let pause = backoff.after(lasted.into());
        delay(pause).await;
        let report = |path: &str, refusal: Refusal| {
            debug!("{path}: watch refused, polling for changes: {refusal}");
        };
        if !xenbus::wait_for_restart(store, &path, backend.as_deref(), &delay, pause, report).await? {
            return Ok(());
        }
    }
}
