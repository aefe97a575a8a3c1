// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running an application's main to its end.

use core::future::{Future, poll_fn};
use core::task::{Context, Poll, Waker};

use crate::app::{Main, Outcome};
use crate::console;

/// Polls `main` until it is ready. Between polls the CPU is given away for a moment: what a main
/// can wait for so far, the console, is polled.
pub(crate) fn run(mut main: Main) -> Outcome {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match main.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => console::nap(),
        }
    }
}

/// Lets the rest of the system run once.
pub(crate) fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |_| {
        if core::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
}
