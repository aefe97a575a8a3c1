// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task that drives an interface over a NIC.

use alloc::boxed::Box;
use core::time::Duration;

use embassy_futures::select::{Either, select};

use super::device::NetDevice;
use super::error::Error;
use super::interface::Interface;
use super::properties::Properties;
use crate::hal::{Interrupt, nanoseconds};

/// How often a NIC is polled where interrupts do not arrive: at first, and when nothing was found for long.
const POLL_INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What a NIC carries: nobody here asks for more.
const MTU: usize = 1500;

/// How long a NIC's reset may take: a millisecond is usual.
pub(crate) const RESET_TIMEOUT: Duration = Duration::from_millis(100);

/// Why a NIC whose reset does not end is not used.
pub(crate) const SILENT: Error = Error::Nic("it does not respond");

/// What a NIC is like whose Ethernet address is in these two registers, the lowest byte first.
pub(crate) fn properties(registers: [u32; 2]) -> Result<Properties, Error> {
    let [low, high] = registers.map(u32::to_le_bytes);
    let [a, b, c, d] = low;
    let [e, f, ..] = high;
    let mac = [a, b, c, d, e, f];
    // Neither an address of many, nor none.
    if a & 1 != 0 || mac == [0; 6] {
        return Err(Error::Nic("it has no valid MAC address"));
    }
    Ok(Properties { mac, mtu: MTU, segments: 1 })
}

/// Connects `interface` to a NIC, and drives it until the NIC fails; then says why.
pub async fn serve<'k>(
    interface: &Interface<'k>,
    nic: impl NetDevice + 'k,
    properties: Properties,
    interrupt: &impl Interrupt,
) -> Error {
    interface.connect(Box::new(nic), properties);
    let mut interval = POLL_INTERVALS.0;
    let mut in_vain = false;
    loop {
        match interface.exchange(interrupt.now()) {
            // The interrupt should have told of it.
            Ok(true) if in_vain => interval = POLL_INTERVALS.0,
            Ok(_) if in_vain => interval = interval.saturating_mul(2).min(POLL_INTERVALS.1),
            Ok(_) => {}
            Err(error) => {
                if let Some(mut nic) = interface.disconnect() {
                    nic.shut_down();
                    // Nobody knows what the NIC still writes where: its memory is lost.
                    core::mem::forget(nic);
                }
                return error;
            }
        }
        let begin = interrupt.now();
        let woken = select(interrupt.wait(interval), interface.stack_work()).await;
        let waited = interrupt.now().saturating_sub(begin);
        in_vain = matches!(woken, Either::First(())) && waited >= nanoseconds(interval);
    }
}
