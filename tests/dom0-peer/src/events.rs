// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: one for one, and a storm of them.

use anyhow::{Result, ensure};

use crate::channel::{Channels, Port};
use crate::guest::{Guest, LIMIT};

/// Answers each event of the guest's with one, until there were `count`.
pub(crate) fn echo(guest: &mut Guest, count: usize) -> Result<()> {
    let (mut channels, _) = connect(guest)?;
    let mut answered = 0;
    while answered < count {
        let ports = channels.wait(LIMIT)?;
        ensure!(!ports.is_empty(), "only {answered} of {count} events came");
        answered += ports.len();
        ports.into_iter().try_for_each(|port| channels.notify(port))?;
    }
    println!("{answered} events came and were answered");
    Ok(())
}

/// Connects to the ports that the guest says as `ports`, and says so.
fn connect(guest: &mut Guest) -> Result<(Channels, Vec<Port>)> {
    let mut channels = Channels::new()?;
    let ports = guest.hear("ports")?;
    let ports = ports.split(' ').map(|port| channels.connect(guest.domain, port.parse()?));
    let ports = ports.collect::<Result<_>>()?;
    guest.tell("connected", "1")?;
    Ok((channels, ports))
}

/// Events between two looks at whether the guest has had enough.
const GUST: usize = 5000;

/// Raises events as fast as it goes until the guest has had enough.
pub(crate) fn storm(guest: &mut Guest) -> Result<()> {
    let (channels, ports) = connect(guest)?;
    let path = guest.path("data/peer/enough");
    let mut raised = 0;
    while guest.store.read(&path)?.is_none() {
        for port in ports.iter().cycle().take(GUST) {
            channels.notify(*port)?;
        }
        raised += GUST;
    }
    println!("{raised} events raised");
    Ok(())
}
