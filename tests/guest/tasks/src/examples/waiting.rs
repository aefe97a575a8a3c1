// SPDX-License-Identifier: MIT OR Apache-2.0
use core::future::Future;

use prism::task::{Duration, Either, join, select, sleep, with_timeout, yield_now};

/// Waits for two things at once, however long each takes.
pub(crate) async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    join(first, second).await
}

/// Waits for the first of two things; the other is dropped, which ends it where it stands.
pub(crate) async fn whichever<T>(first: impl Future<Output = T>, second: impl Future<Output = T>) -> T {
    match select(first, second).await {
        Either::First(value) | Either::Second(value) => value,
    }
}

/// Gives up after so many milliseconds.
pub(crate) async fn within<T>(milliseconds: u64, work: impl Future<Output = T>) -> Option<T> {
    with_timeout(Duration::from_millis(milliseconds), work).await.ok()
}

/// Tries again until it works, at most `tries` times, with longer and longer pauses.
pub(crate) async fn retry(tries: u32, mut works: impl FnMut() -> bool) -> bool {
    let mut pause = Duration::from_millis(1);
    for _ in 0..tries {
        if works() {
            return true;
        }
        sleep(pause).await;
        pause *= 2;
    }
    false
}

/// A long computation that lets others run: nothing takes the vCPU away from a task that keeps it.
pub(crate) async fn sum_of_squares(limit: u64) -> u64 {
    let mut sum = 0;
    for number in 1..=limit {
        sum += number * number;
        if number % 1000 == 0 {
            yield_now().await;
        }
    }
    sum
}
