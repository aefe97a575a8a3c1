// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other half of xenbus: finds the devices that this domain serves to others, and runs a task for each.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::mem;
use core::time::Duration;

use log::{Level, info, log, warn};
use spin::Mutex;
use xen::xenbus::backend::{Bus, Device, Ended, Failure, Id};
use xen::xenstore::{self, Client};

use crate::hypervisor::xenstore::persist;
use crate::network::NetworkError;
use crate::task::executor;

/// Devices of a class that are served at most.
const MOST: usize = 256;

/// Time for each step of the handshake, and for a frontend's farewell. `libxl` waits for ten seconds.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(8);

/// A driver that serves a class of devices.
pub(crate) trait BackendDriver: Sync {
    /// The class's directory below `backend/`, such as `vbd`.
    const CLASS: &'static str;

    /// Serves a device until it is removed.
    fn serve(&self, device: &Device) -> impl Future<Output = Ended>;
}

/// Logs why a frontend was not served. What was said last is not said again, but for those who debug: a
/// frontend that tries again and again fails again and again.
pub(super) fn report<E: fmt::Display>(device: &Device) -> impl Fn(&Failure<E>) + Send {
    let last = Mutex::new(String::new());
    move |failure| {
        let failure = failure.to_string();
        let before = mem::replace(&mut *last.lock(), failure.clone());
        let level = if before == failure { Level::Debug } else { Level::Warn };
        log!(level, "{}: {failure}", device.backend());
    }
}

/// Why this domain serves nothing.
#[derive(Debug)]
pub enum ServeError {
    /// There is no Xen, or no xenstore.
    NoXen,
    /// xenstored refused something.
    Xenstore(xenstore::Error),
    /// There is no network to serve.
    Network(NetworkError),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoXen => f.write_str("devices are served to guests of Xen only, and there is no xenstore"),
            Self::Xenstore(error) => error.fmt(f),
            Self::Network(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ServeError {}

/// The devices that have a task.
type Served = Arc<Mutex<BTreeSet<Id>>>;

/// Serves the devices of a class for ever, or until xenstored refuses.
pub(crate) async fn serve_class<B: BackendDriver>(driver: &'static B, store: &'static Client) -> ServeError {
    let served = Served::default();
    let Err(error) = persist(store, async || watch(driver, store, &served).await).await;
    ServeError::Xenstore(error)
}

async fn watch<B: BackendDriver>(
    driver: &'static B,
    store: &'static Client,
    served: &Served,
) -> xenstore::Result<Infallible> {
    let mut bus = Bus::watch(store, B::CLASS, MOST).await?;
    loop {
        let found = bus.next().await?;
        if found.ignored > 0 {
            warn!("backend/{}: {} devices not served: more than {MOST}", B::CLASS, found.ignored);
        }
        for id in found.devices {
            if !served.lock().insert(id) {
                continue;
            }
            if let Err(error) = executor::spawn(attend(driver, store, id, Arc::clone(served))) {
                // The next change of the directory retries it.
                warn!("{}: not served: {error}", id.directory(B::CLASS));
                served.lock().remove(&id);
            }
        }
    }
}

/// Serves a device for as long as it is there. The device keeps its task while xenstored is away.
async fn attend<B: BackendDriver>(driver: &'static B, store: &'static Client, id: Id, served: Served) {
    let directory = id.directory(B::CLASS);
    loop {
        if let Err(error) = persist(store, async || serve_once(driver, store, &directory).await).await
            && !error.is_not_found()
        {
            warn!("{directory}: invalid device node, device ignored: {error}");
        }
        served.lock().remove(&id);
        // The toolstack may have made it anew before it was forgotten here; nobody else would look again.
        if !is_wanted(store, &directory).await || !served.lock().insert(id) {
            return;
        }
    }
}

async fn serve_once<B: BackendDriver>(driver: &B, store: &Client, directory: &str) -> xenstore::Result<()> {
    let device = Device::open(store, directory).await?;
    info!("{directory}: serving domain {}", device.frontend_id().0);
    match driver.serve(&device).await {
        Ended::Removed => info!("{directory}: removed"),
        Ended::Restored => {}
        Ended::Xenstore(error) => return Err(error),
    }
    Ok(())
}

/// Whether there is such a device, and the toolstack wants it to be there.
async fn is_wanted(store: &Client, directory: &str) -> bool {
    let online = store.value(&format!("{directory}/online")).await;
    let valid = Device::open(store, directory).await.is_ok();
    valid && online.is_ok_and(|online| online.flag() == Ok(true))
}
