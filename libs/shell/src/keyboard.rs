// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys, as they are typed on the console.

use alloc::collections::VecDeque;
use core::future::pending;

use prism::Context;
use prism_terminal::keys::{Decoder, Key};

/// Bytes that are taken at a time.
const BYTES: usize = 64;
/// Keys that are kept while a command runs; further input stays with the console.
const MAX_KEYS: usize = 1024;

/// The keys that are typed on the console.
pub struct Keyboard {
    context: Context,
    decoder: Decoder,
    /// Keys that nobody has taken yet.
    keys: VecDeque<Key>,
}

impl Keyboard {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, decoder: Decoder::default(), keys: VecDeque::new() }
    }

    /// The next key. Other tasks get their turn before input is read.
    pub async fn key(&mut self) -> Key {
        loop {
            match self.keys.pop_front() {
                Some(key) => return key,
                None => self.read().await,
            }
        }
    }

    /// The next key, if it has been read already.
    pub fn typed(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    /// Waits for ^C. What was typed before is forgotten then; if ^C does not come, it is of the next line.
    pub async fn interrupted(&mut self) {
        loop {
            if let Some(index) = self.keys.iter().position(|key| *key == Key::Interrupt) {
                self.keys.drain(..=index);
                return;
            }
            if self.keys.len() + BYTES > MAX_KEYS {
                return pending().await;
            }
            self.read().await;
        }
    }

    /// Takes what was typed. Nothing is lost if this is dropped.
    async fn read(&mut self) {
        let mut bytes = [0; BYTES];
        let count = self.context.read_console(&mut bytes).await;
        let bytes = bytes.iter().take(count);
        self.keys.extend(bytes.filter_map(|byte| self.decoder.push(*byte)));
    }
}
