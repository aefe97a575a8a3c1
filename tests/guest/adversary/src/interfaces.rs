// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks on interfaces that come and go, in networks where nobody answers.

use prism::Context;
use prism::embassy_time::{Duration, Timer};

/// Those that the peer makes: `tests/dom0-peer/src/adversary/vif.rs`.
const NUMBERS: core::ops::RangeInclusive<usize> = 1..=8;

/// How long a task waits until it asks again for an interface that is not there, or has no address.
const PAUSE: Duration = Duration::from_millis(100);

/// Has a task open each interface, once it is there. It never has an address: its stack asks for one all the
/// time.
pub(crate) fn use_all(context: Context) -> prism::Result {
    for number in NUMBERS {
        context.spawn(async move {
            while context.network(number).await.is_err() {
                Timer::after(PAUSE).await;
            }
        })?;
    }
    Ok(())
}
