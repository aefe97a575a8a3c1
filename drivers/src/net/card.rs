// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task that drives an interface over a network card.

use alloc::boxed::Box;

use embassy_futures::select::{Either, select};

use super::error::Error;
use super::interface::Interface;
use super::offer::Properties;
use super::wire::Wire;
use crate::interrupt::Interrupt;

/// How long to wait for a card at least and at most, in nanoseconds, before it is looked at: how slow
/// things get where interrupts do not arrive.
const SLICES: (u64, u64) = (10_000_000, 1_000_000_000);

/// Connects `interface` to a card, and drives it until the card fails; then says why.
pub async fn serve<'k>(
    interface: &Interface<'k>,
    card: impl Wire + 'k,
    properties: Properties,
    interrupt: &impl Interrupt,
) -> Error {
    interface.connect(Box::new(card), properties);
    let mut slice = SLICES.0;
    let mut in_vain = false;
    loop {
        match interface.exchange(interrupt.now()) {
            // The interrupt should have told of it.
            Ok(true) if in_vain => slice = SLICES.0,
            Ok(_) if in_vain => slice = slice.saturating_mul(2).min(SLICES.1),
            Ok(_) => {}
            Err(error) => {
                // Nobody knows what the card still writes where: its memory is lost.
                core::mem::forget(interface.disconnect());
                return error;
            }
        }
        let begin = interrupt.now();
        let woken = select(interrupt.wait(slice), interface.stack_work()).await;
        let waited = interrupt.now().saturating_sub(begin);
        in_vain = matches!(woken, Either::First(())) && waited >= slice;
    }
}
