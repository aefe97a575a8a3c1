// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting until a device starts again after its driver stopped.

use alloc::format;
use core::future::pending;
use core::time::Duration;

use super::State;
use crate::time::{Delay, First, first};
use crate::xenstore::{Client, Error, Refusal, Result, Watch};

/// Waits until a device begins again, because the toolstack or its backend made it anew; false if it is no
/// more. `frontend` is its directory and `backend` its backend's, if it has one.
///
/// Changes are watched. A domain has a quota of watches, which many devices use up: where xenstored refuses
/// one, which `report` is told with the path, it is looked after ten times `pause` each.
///
/// # Errors
///
/// If the connection to xenstored dies.
pub async fn wait_for_restart(
    client: &Client,
    frontend: &str,
    backend: Option<&str>,
    delay: &impl Delay,
    pause: Duration,
    report: impl Fn(&str, Refusal),
) -> Result<bool> {
    let watch = async |path: &str| watch(client, path, &report).await;
    // Only now: while the device works it has watches of its own.
    let mut changes = watch(frontend).await?;
    let backend = backend.map(|backend| format!("{backend}/state"));
    // What happens to the backend matters only if there is one to watch.
    let mut backend_changes = match &backend {
        Some(backend) => watch(backend).await?,
        None => None,
    };
    loop {
        let own = state(client, &format!("{frontend}/state")).await?;
        let theirs = match &backend {
            Some(backend) => state(client, backend).await?,
            None => None,
        };
        match (own, theirs) {
            // A toolstack that writes key by key makes the directory before the state.
            (None, _) if !exists(client, frontend).await? => return Ok(false),
            (Some(State::Initialising), _) | (_, Some(State::InitWait)) => return Ok(true),
            _ => {}
        }
        let unwatched = changes.is_none() || (backend.is_some() && backend_changes.is_none());
        let again =
            async { if unwatched { delay.delay(pause.saturating_mul(10)).await } else { pending().await } };
        match first(first(change(&mut changes), change(&mut backend_changes)), again).await {
            First::One(First::One(changed) | First::Other(changed)) => changed?,
            First::Other(()) => {}
        }
    }
}

/// A watch; `None` if xenstored refuses it.
async fn watch(client: &Client, path: &str, report: &impl Fn(&str, Refusal)) -> Result<Option<Watch>> {
    match client.watch(path).await {
        Ok(watch) => Ok(Some(watch)),
        Err(Error::Refused(refusal)) => {
            report(path, refusal);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Waits until something changes: for ever without a watch.
async fn change(watch: &mut Option<Watch>) -> Result<()> {
    match watch {
        Some(watch) => watch.next().await.map(drop),
        None => pending().await,
    }
}

/// Whether there is a node at all.
async fn exists(client: &Client, path: &str) -> Result<bool> {
    match client.value(path).await {
        Err(error) if error.is_not_found() => Ok(false),
        Ok(_) | Err(Error::Refused(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A side's state; `None` if it has none, or does not let us see it.
async fn state(client: &Client, path: &str) -> Result<Option<State>> {
    match client.value(path).await {
        Ok(value) => Ok(Some(State::of(&value))),
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
