// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splitting text into words.

/// A word of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// What stands before the first `=`, or all of it.
    pub name: &'a str,
    /// What stands after the first `=`, if there is one.
    pub value: Option<&'a str>,
}

impl<'a> Word<'a> {
    fn new(word: &'a str) -> Self {
        let word = unquote(word);
        match word.split_once('=') {
            Some((name, value)) => Self { name, value: Some(unquote(value)) },
            None => Self { name: word, value: None },
        }
    }
}

/// The words of a text, in order. An open quote lasts to the end of the text.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// The words of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let text = self.rest.trim_start();
        if text.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = text.find(|character: char| {
            quoted ^= character == '"';
            character.is_whitespace() && !quoted
        });
        let (word, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        self.rest = rest;
        Some(Word::new(word))
    }
}

/// `text` without the quotes around it; an opening one need not have been closed.
fn unquote(text: &str) -> &str {
    match text.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => text,
    }
}
