// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel command line: words, the kernel's own options, and their values.
//!
//! Blanks separate words; double quotes keep blanks in a word. A word is `name` or `name=value`. Quotes
//! around the word or its value are removed. If a name occurs more than once, the last one counts.

mod address;
mod options;
mod value_error;
mod words;

pub use address::{Addressing, StaticAddress};
pub use options::{
    ConsoleSinks, EntropyLimit, EventAbi, HypercallMethod, INTERFACES, IrqChipLimit, KERNEL_OPTIONS,
    KernelOption, LogLevel, PvLevel, UpcallLimit,
};
use options::{OLD_NAMES, VIRTIO_MMIO};
pub use value_error::ValueError;
pub use words::{Word, Words};

use crate::Text;
use crate::firmware::virtio_mmio::Slot;

/// Maximum length of the command line, in bytes.
pub const COMMAND_LINE_LIMIT: usize = 2048;

/// The kernel's command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    text: Text<COMMAND_LINE_LIMIT>,
}

impl CommandLine {
    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Whether it was longer than the maximum.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.text.truncated()
    }

    /// Appends words after a blank. Words beyond the maximum length are lost; [`Self::truncated`] tells.
    pub fn append(&mut self, more: &str) {
        if !self.text.is_empty() && !more.is_empty() {
            self.text.push(" ");
        }
        self.text.push(more);
    }

    /// The words in order.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words::new(&self.text)
    }

    /// The last word with this name, if any.
    fn word(&self, name: &str) -> Option<Word<'_>> {
        self.words().filter(|word| word.name == name).last()
    }

    /// The value of the last word with this name; `None` without the word or without `=`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.word(name)?.value
    }

    /// Whether there is a word with this name, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.word(name).is_some()
    }

    /// Whether `name` is switched on: by the bare word, or by the value `on`, `yes`, `true` or `1`;
    /// `off`, `no`, `false`, `0` and no such word switch it off.
    ///
    /// # Errors
    ///
    /// If the value is none of these.
    pub fn flag(&self, name: &str) -> Result<bool, ValueError<'_>> {
        match self.word(name) {
            None => Ok(false),
            Some(word) => match word.value {
                None | Some("on" | "yes" | "true" | "1") => Ok(true),
                Some("off" | "no" | "false" | "0") => Ok(false),
                Some(value) => Err(ValueError { name: word.name, value, accepted: "on or off" }),
            },
        }
    }

    /// The number that `name` is set to: decimal, or hexadecimal after `0x`.
    ///
    /// # Errors
    ///
    /// If it is not a number or does not fit 64 bits.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ValueError<'_>> {
        self.parsed(name, "a number", parse_number)
    }

    /// The size in bytes that `name` is set to: a number with an optional `K`, `M` or `G` (powers
    /// of 1024).
    ///
    /// # Errors
    ///
    /// If it is not a size or does not fit 64 bits.
    pub fn size(&self, name: &str) -> Result<Option<u64>, ValueError<'_>> {
        self.parsed(name, "a size like 4096, 64K, 8M or 1G", parse_size)
    }

    /// Parses the value of `name` by `parse`. `accepted` names the valid values in the error. A bare word
    /// counts as the empty value.
    ///
    /// # Errors
    ///
    /// If `parse` returns `None`.
    pub fn parsed<T>(
        &self,
        name: &str,
        accepted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ValueError<'_>> {
        let Some(word) = self.word(name) else { return Ok(None) };
        let value = word.value.unwrap_or("");
        parse(value).map(Some).ok_or(ValueError { name: word.name, value, accepted })
    }

    /// The virtio-mmio slots of the `virtio_mmio.device=` words.
    ///
    /// # Errors
    ///
    /// For each word without a valid slot.
    pub fn virtio_slots(&self) -> impl Iterator<Item = Result<Slot, ValueError<'_>>> {
        let words = self.words().filter(|word| word.name == VIRTIO_MMIO.name);
        words.map(|Word { name, value }| {
            let value = value.unwrap_or("");
            let slot = Slot::parse(value, parse_number, parse_size);
            slot.ok_or(ValueError { name, value, accepted: VIRTIO_MMIO.values })
        })
    }

    /// The deprecated names of options on the line, each with the new name. They still work. A name that is a
    /// parameter of the `application` is not among them.
    pub fn renamed<'a>(
        &'a self,
        application: &'a [&str],
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_old = |(old, _): &(&'static str, &'static str)| self.has(old) && !application.contains(old);
        OLD_NAMES.into_iter().filter(is_old)
    }

    /// The words whose names are neither the kernel's nor in `application`.
    ///
    /// A first word that looks like a path is not among them: some loaders put the image's file
    /// name there.
    pub fn unknown<'a>(&'a self, application: &'a [&str]) -> impl Iterator<Item = Word<'a>> {
        let known = |name| {
            application.contains(&name)
                || KERNEL_OPTIONS.iter().any(|option| option.name == name)
                || OLD_NAMES.iter().any(|(old, _)| *old == name)
        };
        let is_path = |word: &Word<'_>| word.value.is_none() && word.name.contains('/');
        let numbered = self.words().enumerate();
        numbered
            .filter(move |(index, word)| !(known(word.name) || *index == 0 && is_path(word)))
            .map(|(_, word)| word)
    }
}

impl From<Text<COMMAND_LINE_LIMIT>> for CommandLine {
    fn from(text: Text<COMMAND_LINE_LIMIT>) -> Self {
        Self { text }
    }
}

impl From<&str> for CommandLine {
    fn from(text: &str) -> Self {
        Self { text: Text::from_bytes(text.as_bytes()) }
    }
}

fn parse_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit()); // no sign
    if plain { u64::from_str_radix(digits, radix).ok() } else { None }
}

fn parse_size(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b'K' | b'k' => 1 << 10,
        b'M' | b'm' => 1 << 20,
        b'G' | b'g' => 1 << 30,
        _ => return parse_number(text),
    };
    parse_number(text.get(..text.len().checked_sub(1)?)?)?.checked_mul(unit)
}
