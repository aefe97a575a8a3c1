// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the toolstack asks of the domain as a whole: `control/shutdown` in xenstore
//! (`docs/misc/xenstore-paths.pandoc`).

use embassy_time::{Duration, Timer};
use log::{info, warn};
use xen::xenstore::{Client, Error, Result};

use crate::power;

/// Where requests are written, and acknowledged by emptying it.
const REQUEST: &str = "control/shutdown";

/// What we understand, as the toolstack wants it announced.
const FEATURES: [&str; 2] = ["control/feature-poweroff", "control/feature-reboot"];

/// Time before a broken connection is tried again: it doubles, so that a connection that stays
/// broken does not keep waking the guest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Carries out the toolstack's requests, for ever, or until xenstored refuses.
pub(crate) async fn obey(store: &'static Client) {
    let mut pause = SHORTEST_PAUSE;
    while let Err(error) = watch(store).await {
        if !matches!(error, Error::Dead(_)) {
            return warn!("requests to shut down will not be heard: {error}");
        }
        // The connection may be made anew, or never.
        Timer::after(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn watch(store: &Client) -> Result<()> {
    for feature in FEATURES {
        // Some toolstacks let nobody write here; they ask all the same.
        let _ = store.write(feature, "1").await;
    }
    let mut requests = store.watch(REQUEST).await?;
    loop {
        requests.next().await?;
        // The node may not be there yet; the watch fires when it is.
        let request = store.read_str(REQUEST).await.unwrap_or_default();
        if request.is_empty() {
            continue;
        }
        info!("the toolstack asks for: {request}");
        // The acknowledgement; a toolstack that does not let us write it can do without.
        let _ = store.write(REQUEST, "").await;
        match request.as_str() {
            "poweroff" | "halt" => power::off(),
            "reboot" => power::reboot(),
            _ => warn!("{REQUEST}: {request} is not supported; ask for poweroff or reboot"),
        }
    }
}
