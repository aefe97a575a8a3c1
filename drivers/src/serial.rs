// SPDX-License-Identifier: MIT OR Apache-2.0
//! A 16550 serial port as a console.

use uart_16550::backend::Backend;
use uart_16550::{Config, Uart16550};

use crate::output::Sink;

/// How often a byte is offered to a port that does not take it. An emulated port takes it at
/// once; at 115200 baud a real one takes 87 microseconds, less than this many port reads.
const PATIENCE: u32 = 200;

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
        bytes.iter().take_while(|byte| self.write_byte(**byte)).count()
    }

    fn write_byte(&mut self, byte: u8) -> bool {
        let tries = if self.stuck { 1 } else { PATIENCE };
        let taken = (0..tries).any(|_| self.port.try_send_byte(byte).is_ok());
        self.stuck = !taken;
        taken
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
