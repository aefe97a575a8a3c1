// SPDX-License-Identifier: MIT OR Apache-2.0
//! A delay that runs while its task does other things.

use alloc::boxed::Box;
use core::future::pending;
use core::pin::Pin;

/// Set, or not.
#[derive(Default)]
pub(crate) struct Alarm<'k>(Option<Pin<Box<dyn Future<Output = ()> + Send + 'k>>>);

impl<'k> Alarm<'k> {
    /// Sets it, if it is not set, to ring after `delay`.
    pub(crate) fn set<F: Future<Output = ()> + Send + 'k>(&mut self, delay: impl FnOnce() -> F) {
        self.0.get_or_insert_with(|| Box::pin(delay()));
    }

    /// Cancels it.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Waits until it rings: for ever, if it is not set.
    pub(crate) async fn ring(&mut self) {
        match &mut self.0 {
            Some(delay) => delay.await,
            None => pending().await,
        }
        self.0 = None;
    }
}
