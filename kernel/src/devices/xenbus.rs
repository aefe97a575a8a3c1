// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding devices of a driver, and keeping them driven.

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
use xen::xenbus::{self, Device, Ended, Failure};
use xen::xenstore::{self, Client, Refusal};

use crate::hypervisor::xenstore::persist;
use crate::task::executor;

/// The pauses before a device is driven again: one that always fails must not keep us busy.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Time that each step of the handshake with a device's backend may take.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A driver of devices, and how one is driven.
pub(crate) trait XenbusDriver: Sync {
    /// Its directory below `device/`, such as `vbd`.
    const DIRECTORY: &'static str;

    /// Why a driver failed.
    type Error: fmt::Display;

    /// Told which devices there are by their numbers, in ascending order: first of all, when that is
    /// [`Scan::First`], and after each change.
    fn scanned(&self, devices: &[u32], scan: Scan);

    /// Drives a device until it is taken away. Called again when the device or its backend is made
    /// anew, or begins again.
    fn drive(&self, number: u32, device: Device) -> impl Future<Output = Ended<Self::Error>>;

    /// Told that a device cannot be driven now, as its nodes are damaged or cannot be read.
    fn unusable(&self, _number: u32) {}

    /// Told that a device is no more, or will not be driven.
    fn removed(&self, number: u32);
}

/// Which list of a driver's devices it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// That of those there are at boot.
    First,
    /// A later one.
    Later,
}

/// Drives all devices of a driver, for ever, or until xenstored refuses.
pub(crate) async fn run_driver<C: XenbusDriver>(driver: &'static C, store: &'static Client) {
    let bound = Bound::default();
    let mut scan = Scan::First;
    let scan_once = async || {
        let ended = scan_bus(driver, store, &bound, &mut scan).await;
        if scan == Scan::First {
            // Who waits for the devices there are at boot does not wait for xenstored to come back.
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
    let directory = format!("device/{}", C::DIRECTORY);
    let mut changes = store.watch(&directory).await?;
    loop {
        changes.next().await?;
        let devices = xenbus::list(store, &directory).await?;
        driver.scanned(&devices, *scan);
        *scan = Scan::Later;
        for number in devices {
            if !bound.lock().insert(number) {
                continue;
            }
            let ended = Arc::clone(bound);
            let task = async move {
                // It stays bound to while xenstored is away.
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
                // The next change is an occasion to try again.
                bound.lock().remove(&number);
                driver.removed(number);
            }
        }
    }
}

/// Drives a device for as long as it is there.
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
                    Ended::Failed(Failure::Xenstore(error @ xenstore::Error::Dead(_))) => return Err(error),
                    Ended::Failed(failure) => warn!("{path}: driver failed, will retry: {failure}"),
                }
            }
            Err(error @ xenstore::Error::Dead(_)) => return Err(error),
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
        if !xenbus::until_anew(store, &path, backend.as_deref(), &delay, pause, report).await? {
            return Ok(());
        }
    }
}
