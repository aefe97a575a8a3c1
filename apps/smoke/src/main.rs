// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks its environment, and reports the verdict.
//!
//! Each check prints a line. Checks of what this machine does not have are skipped. A failed one makes the
//! verdict FAILURE.
#![no_std]
#![no_main]

extern crate alloc;

mod checks;

use checks::Found;
use prism::{Verdict, println};

prism::app!(main);

async fn main(context: prism::Context) -> Verdict {
    let mut verdict = Verdict::Success;
    checks::run(&context, |name, found| match found {
        Found::Good => println!("  ok       {name}"),
        Found::Absent(reason) => println!("  absent   {name}: {reason}"),
        Found::Bad(reason) => {
            println!("  FAILED   {name}: {reason}");
            verdict = Verdict::Failure;
        }
    })
    .await;
    verdict
}
