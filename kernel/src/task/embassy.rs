// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that begin by `#[embassy_executor::main]`, as embassy's examples do: [`embassy_app!`] makes an
//! application of one, and its main says which executor runs it.
//!
//! ```ignore
#![doc = include_str!("../../../tests/guest/embassy/src/main.rs")]
//! ```
//!
//! The guest runs until the toolstack asks it to end, also when all of its tasks have ended.
//!
//! [`embassy_app!`]: crate::embassy_app

use core::convert::Infallible;
use core::future::pending;

use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use spin::Once;

use crate::app::Context;
use crate::task::{blocking, executor};

static CONTEXT: Once<Context> = Once::new();

/// Makes an image out of a function with `#[embassy_executor::main(executor = "prism::embassy::Executor")]`;
/// see [`embassy`](crate::embassy).
#[macro_export]
macro_rules! embassy_app {
    ($main:path) => {
        $crate::app!(prism_embassy_main);

        async fn prism_embassy_main(context: $crate::Context) -> $crate::Result {
            $crate::embassy::run(context, || $main()).await
        }
    };
}

/// What `#[embassy_executor::main]` takes for an executor: the vCPU's own, which runs already.
#[derive(Debug, Default)]
pub struct Executor(());

impl Executor {
    /// There is nothing to make.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has `init` start its tasks; they run while this waits for ever.
    ///
    /// # Panics
    ///
    /// If it is not called by the main of an [`embassy_app!`](crate::embassy_app).
    pub fn run(&'static mut self, init: impl FnOnce(Spawner)) -> ! {
        init(executor::spawner().expect("called by embassy_app!"));
        match blocking::wait(pending::<Infallible>()) {}
    }
}

/// The application's view of the system, which other applications are given by their main.
///
/// # Panics
///
/// If the application is no [`embassy_app!`](crate::embassy_app).
pub fn context() -> Context {
    *CONTEXT.get().expect("the application is an embassy_app!")
}

/// Runs the function that `#[embassy_executor::main]` makes, on a stack of its own as it never returns, until
/// the toolstack asks the domain to end.
///
/// # Errors
///
/// Fails if there is no memory for a stack.
#[doc(hidden)]
pub async fn run(context: Context, main: fn() -> !) -> crate::Result {
    CONTEXT.call_once(|| context);
    let body = blocking::run(move || -> Infallible { main() });
    match select(body, context.shutdown_requested()).await {
        Either::First(Err(no_stack)) => Err(no_stack.into()),
        Either::First(Ok(never)) => match never {},
        Either::Second(()) => Ok(()),
    }
}
