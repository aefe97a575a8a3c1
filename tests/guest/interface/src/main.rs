// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interface's stack is handed out once. After a dropped attempt another one works.
#![no_std]
#![no_main]

use prism::network::NetworkError;
use prism::task::{Duration, with_timeout};
use prism::{Context, Verdict, println};

prism::app!(main);

async fn main(context: Context) -> prism::Result<Verdict> {
    let (mut timeout, mut in_vain) = (Duration::from_millis(1), 0);
    loop {
        match with_timeout(timeout, context.network(0)).await {
            Ok(Ok(_)) => break,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => in_vain += 1,
        }
        timeout *= 2;
    }
    println!("the stack came when it had been asked for in vain {in_vain} times");
    let again = context.network(0).await;
    let is_taken = matches!(again, Err(NetworkError::Taken));
    Ok(if in_vain > 1 && is_taken { Verdict::Success } else { Verdict::Failure })
}
