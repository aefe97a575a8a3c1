// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages to and from the peer, through nodes of xenstore.

use alloc::format;
use alloc::string::String;

use prism::embassy_time::{Duration, with_timeout};
use prism::xen::xenstore::{Client, Error};

/// Longest time to wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The other side.
pub(crate) struct Peer {
    /// The xenstore that both use.
    pub(crate) store: &'static Client,
}

impl Peer {
    /// Tells the peer something as `name`.
    pub(crate) async fn tell(&self, name: &str, value: &str) -> prism::Result {
        limited(self.store.write(&format!("data/peer/{name}"), value)).await
    }

    /// What the peer says as `name`, once it says anything.
    pub(crate) async fn hear(&self, name: &str) -> prism::Result<String> {
        let path = format!("data/peer/{name}");
        let mut watch = limited(self.store.watch(&path)).await?;
        loop {
            limited(watch.next()).await?;
            match limited(self.store.read_str(&path)).await {
                Ok(value) if !value.is_empty() => return Ok(value),
                _ => {} // not there yet
            }
        }
    }
}

/// What `request` answers, if it does in time.
pub(crate) async fn limited<T>(request: impl Future<Output = Result<T, Error>>) -> prism::Result<T> {
    let answer = with_timeout(LIMIT, request).await.map_err(|_| "nothing was heard in time")?;
    Ok(answer?)
}
