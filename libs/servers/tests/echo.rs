// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client of the Echo Protocol, with servers that send back what comes, and that do not.

use std::collections::VecDeque;
use std::convert::Infallible;

use embedded_io_async::{ErrorType, Read, Write};
use futures::executor::block_on;
use prism_listener::Slots;
use prism_servers::echo::{self, block, converse};

/// Sends back what comes, but for one byte, until it closes.
struct Mirror {
    bytes: VecDeque<u8>,
    seen: usize,
    damaged: Option<usize>,
    closes_after: usize,
}

impl Mirror {
    fn new() -> Self {
        Self { bytes: VecDeque::new(), seen: 0, damaged: None, closes_after: usize::MAX }
    }
}

impl ErrorType for Mirror {
    type Error = Infallible;
}

impl Read for Mirror {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let length = self.bytes.len().min(into.len()).min(1000);
        into.iter_mut().zip(self.bytes.drain(..length)).for_each(|(slot, byte)| *slot = byte);
        Ok(length)
    }
}

impl Write for Mirror {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for byte in bytes {
            let wrong = u8::from(self.damaged == Some(self.seen));
            if self.seen < self.closes_after {
                self.bytes.push_back(byte ^ wrong);
            }
            self.seen += 1;
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn all_blocks_come_back_from_a_server_that_echoes() {
    assert_eq!(block_on(converse(&mut Mirror::new(), 10)), 10);
}

#[test]
fn a_block_that_is_damaged_or_cut_short_is_noticed() {
    let mut damaged = Mirror { damaged: Some(3 * 4096 + 77), ..Mirror::new() };
    assert_eq!(block_on(converse(&mut damaged, 10)), 3);
    let mut cut = Mirror { closes_after: 2 * 4096 + 1, ..Mirror::new() };
    assert_eq!(block_on(converse(&mut cut, 10)), 2);
}

#[test]
fn no_two_blocks_are_alike() {
    assert_ne!(block(1, 100), block(2, 100));
    assert_ne!(block(0, 512)[..256], block(0, 512)[256..]);
}

/// Says nothing, for ever.
struct Silent;

impl ErrorType for Silent {
    type Error = Infallible;
}

impl Read for Silent {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        std::future::pending().await
    }
}

impl Write for Silent {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_silent_peer_gives_way_to_another() {
    let slots = Slots::new(1);
    let (silent, other) = (slots.take(), slots.take());
    let served = async {
        let silent = silent;
        silent.admitted().await;
        echo::stream(&mut Silent, &silent).await
    };
    let (served, ()) = block_on(futures::future::join(served, other.admitted()));
    served.unwrap();
}
