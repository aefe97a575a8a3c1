// SPDX-License-Identifier: MIT OR Apache-2.0
//! A 16550 serial port as a console.

use uart_16550::backend::Backend;
use uart_16550::{Config, Uart16550};

use crate::console::output::Sink;

/// How often bytes are offered to a port that does not take them. An emulated port takes them at
/// once; at 115200 baud a real one empties its FIFO of 16 within 1.4 milliseconds, less than this
/// many port reads.
const MAX_SPINS: u32 = 3200;

/// A serial port.
pub struct Serial<B: Backend> {
    port: Uart16550<B>,
    /// It took nothing for some time: don't wait until it does.
    stuck: bool,
}

impl<B: Backend> Serial<B> {
    /// Sets the port to 115200 baud, 8N1; `None` if there is no such port.
    pub fn new(mut port: Uart16550<B>) -> Option<Self> {
        port.init(Config::default()).ok()?;
        Some(Self { port, stuck: false })
    }

    /// Writes `bytes`, and returns how many of them the port took.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut left = bytes;
        while !left.is_empty() {
            let taken = self.write_some(left);
            self.stuck = taken == 0;
            if self.stuck {
                break;
            }
            left = left.get(taken..).unwrap_or_default();
        }
        bytes.len() - left.len()
    }

    /// As many of `bytes` as its FIFO takes after one look at its status: where the port is emulated,
    /// each look is an exit as dear as a byte.
    fn write_some(&mut self, bytes: &[u8]) -> usize {
        let tries = if self.stuck { 1 } else { MAX_SPINS };
        (0..tries).map(|_| self.port.send_bytes(bytes)).find(|&taken| taken > 0).unwrap_or(0)
    }

    /// Takes what was received, up to the size of `buffer`, and returns how much that was.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        self.port.receive_bytes(buffer)
    }
}

impl<B: Backend> Sink for Serial<B> {
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        Some(self.write(bytes))
    }
}
