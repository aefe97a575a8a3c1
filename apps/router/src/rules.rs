// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules that the toolstack changes while the router runs: it writes all of them, with blanks between, to
//! [`NODE`] of this domain in xenstore. Without that node those of the command line are in force.

use alloc::string::{String, ToString};
use core::convert::Infallible;
use core::future::pending;

use prism::task::{Duration, sleep};
use prism::xen::xenstore::{self, Client};
use prism::{Context, log};
use prism_router::Rules;

/// Where they stand.
const NODE: &str = "data/rules";
/// Pause before xenstored is asked again that was away, or has refused.
const PAUSE: Duration = Duration::from_secs(10);

/// Follows the toolstack, for ever. `given` is in force, and `apply` puts others in force and returns how
/// many connections that ended.
pub(crate) async fn follow(context: &Context, given: Rules, apply: impl Fn(Rules) -> usize) -> Infallible {
    let Some(store) = context.store() else { return pending().await };
    let mut current = given.clone();
    loop {
        let Err(error) = watch(store, &given, &mut current, &apply).await;
        log::debug!("{NODE}: {error}, watching it again");
        sleep(PAUSE).await;
    }
}

async fn watch(
    store: &Client,
    given: &Rules,
    current: &mut Rules,
    apply: &impl Fn(Rules) -> usize,
) -> xenstore::Result<Infallible> {
    let mut changes = store.watch(NODE).await?;
    loop {
        changes.next().await?;
        let rules = match store.value(NODE).await {
            Ok(value) => value.text().map_err(|error| error.to_string()).and_then(parse),
            Err(error) if error.is_not_found() => Ok(given.clone()),
            Err(error) => return Err(error),
        };
        match rules {
            Ok(rules) if rules != *current => {
                let count = rules.count();
                let ended = apply(rules.clone());
                *current = rules;
                log::info!("{NODE}: {count} rules in force, {ended} connections ended");
            }
            Ok(_) => {}
            Err(error) => log::warn!("{NODE}: {error}; those of before stay in force"),
        }
    }
}

/// The rules of a text.
fn parse(text: &str) -> Result<Rules, String> {
    let words = text.split_ascii_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")));
    Rules::parse_all(words).map_err(|error| error.to_string())
}
