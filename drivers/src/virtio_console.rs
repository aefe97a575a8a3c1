// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtio device as a console (Virtual I/O Device 1.2, 5.3): its first port, which is all there is to one
//! whose driver knows nothing of several ports.
//!
//! Text is collected, and handed over in one buffer; the next one has to wait until that has come back. A
//! device that keeps it is waited for once, and from then on only looked at.

use core::ops::Range;

/// Length of a buffer, in bytes.
pub const BUFFER: usize = 512;

/// The device broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// What the driver needs of the device: a queue of each direction, with one buffer of [`BUFFER`] bytes.
pub trait Queues {
    /// Hands the device this text, of 1 to [`BUFFER`] bytes. Only when it has nothing else to send.
    fn send(&mut self, text: &[u8]);

    /// Whether the device has sent what it was handed last; true if it was handed nothing.
    ///
    /// # Errors
    ///
    /// [`Broken`], if it gives back what it does not have.
    fn has_sent(&mut self) -> Result<bool, Broken>;

    /// The same, but waits for it; not for ever.
    ///
    /// # Errors
    ///
    /// [`Broken`], if the device gives back what it does not have.
    fn wait_until_sent(&mut self) -> Result<bool, Broken>;

    /// Hands the device the buffer for what is typed.
    fn offer(&mut self);

    /// Takes that buffer back if the device has written to it, and returns how many bytes the device says
    /// that it wrote, whatever it says.
    ///
    /// # Errors
    ///
    /// [`Broken`], if it gives back what it does not have.
    fn take_back(&mut self) -> Result<Option<usize>, Broken>;

    /// What is in that buffer, after it was taken back.
    fn typed(&self) -> &[u8];
}

/// What has become of a console, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has not sent its text for a long time. What does not fit into the next one is dropped until it has.
    Silent,
    /// It broke the protocol: it is not used any more.
    Broken,
}

impl Trouble {
    /// A line about it.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Silent => {
                "console: the virtio console takes no text; what does not fit is dropped until it does\n"
            }
            Self::Broken => "console: the virtio console broke the protocol, and is not used any more\n",
        }
    }
}

/// A console.
pub struct VirtioConsole<Q> {
    queues: Q,
    /// Text that the device has not been handed: the first so many bytes.
    text: [u8; BUFFER],
    collected: usize,
    /// The device has text to send.
    is_sending: bool,
    /// What of the buffer for what is typed nobody has read. While there is nothing, the device has it.
    unread: Range<usize>,
    trouble: Option<Trouble>,
    /// Nobody has been told of the trouble.
    is_news: bool,
}

impl<Q: Queues> VirtioConsole<Q> {
    /// The console behind these queues, which are empty.
    pub fn new(mut queues: Q) -> Self {
        queues.offer();
        Self {
            queues,
            text: [0; BUFFER],
            collected: 0,
            is_sending: false,
            unread: 0..0,
            trouble: None,
            is_news: false,
        }
    }

    /// Collects `bytes`, and hands over what is collected whenever that fills a buffer; returns how many
    /// bytes were dropped, as the device does not take them.
    pub fn write(&mut self, mut bytes: &[u8]) -> u64 {
        while !bytes.is_empty() {
            if self.collected == BUFFER {
                self.flush();
            }
            if self.collected == BUFFER || self.is_broken() {
                return bytes.len() as u64;
            }
            let room = self.text.get_mut(self.collected..).unwrap_or_default();
            let (some, rest) = bytes.split_at(room.len().min(bytes.len()));
            room.iter_mut().zip(some).for_each(|(place, byte)| *place = *byte);
            self.collected += some.len();
            bytes = rest;
        }
        0
    }

    /// Hands over what is collected.
    pub fn flush(&mut self) {
        if self.collected == 0 || !self.is_free() {
            return;
        }
        self.is_sending = true;
        self.queues.send(self.text.get(..self.collected).unwrap_or_default());
        self.collected = 0;
    }

    /// Hands over what is collected, and waits until it is sent; not for ever.
    pub fn drain(&mut self) {
        self.flush();
        self.is_free();
    }

    /// Takes what was typed, up to the size of `buffer`, and returns how much that was.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.is_broken() {
            return 0;
        }
        if self.unread.is_empty() {
            match self.queues.take_back() {
                Ok(None) => return 0,
                Ok(Some(length @ 0..=BUFFER)) => self.unread = 0..length,
                Ok(Some(_)) | Err(Broken) => {
                    self.fail(Trouble::Broken);
                    return 0;
                }
            }
        }
        let typed = self.queues.typed().get(self.unread.clone()).unwrap_or_default();
        let count = typed.len().min(buffer.len());
        buffer.iter_mut().zip(typed).for_each(|(place, byte)| *place = *byte);
        self.unread.start += count;
        if self.unread.is_empty() {
            self.queues.offer();
        }
        count
    }

    /// What has gone wrong since this was asked last.
    pub fn news(&mut self) -> Option<Trouble> {
        core::mem::take(&mut self.is_news).then_some(self.trouble).flatten()
    }

    /// Whether the device can be handed text: it has none, or gives it back in time.
    fn is_free(&mut self) -> bool {
        let sent = match self.trouble {
            _ if !self.is_sending => return !self.is_broken(),
            None => self.queues.wait_until_sent(),
            Some(Trouble::Silent) => self.queues.has_sent(),
            Some(Trouble::Broken) => Ok(false),
        };
        match sent {
            Ok(true) => {
                self.is_sending = false;
                self.trouble = None;
            }
            Ok(false) if self.trouble.is_none() => self.fail(Trouble::Silent),
            Ok(false) => {}
            Err(Broken) => self.fail(Trouble::Broken),
        }
        !self.is_sending
    }

    fn is_broken(&self) -> bool {
        self.trouble == Some(Trouble::Broken)
    }

    fn fail(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.is_news = true;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;

    /// A device that sends at once, unless it is told not to. It panics if it is used against the rules.
    #[derive(Default)]
    struct Device {
        /// All that was sent, a text each.
        sent: RefCell<Vec<String>>,
        /// Keeps the text that it has.
        keeps: Cell<bool>,
        has_text: Cell<bool>,
        /// How often it was waited for.
        waits: Cell<u32>,
        /// What it answers to when it is asked whether it has sent, if that is wrong.
        lies: Cell<bool>,
        /// What is typed, and how long the device says that it is.
        typed: RefCell<VecDeque<(String, usize)>>,
        has_buffer: Cell<bool>,
        buffer: RefCell<Vec<u8>>,
    }

    impl Device {
        fn type_text(&self, text: &str) {
            self.typed.borrow_mut().push_back((text.to_owned(), text.len()));
        }

        fn told(&self) -> String {
            self.sent.borrow().concat()
        }
    }

    /// The driver's view; the buffer is copied, as what is borrowed from a cell cannot be handed out.
    struct View<'a>(&'a Device, Vec<u8>);

    impl Queues for View<'_> {
        fn send(&mut self, text: &[u8]) {
            assert!(!self.0.has_text.replace(true), "it has a text");
            assert!((1..=BUFFER).contains(&text.len()), "{} bytes are no text", text.len());
            self.0.sent.borrow_mut().push(String::from_utf8(text.to_vec()).unwrap());
        }

        fn has_sent(&mut self) -> Result<bool, Broken> {
            if self.0.lies.get() {
                return Err(Broken);
            }
            if !self.0.keeps.get() {
                self.0.has_text.set(false);
            }
            Ok(!self.0.has_text.get())
        }

        fn wait_until_sent(&mut self) -> Result<bool, Broken> {
            self.0.waits.set(self.0.waits.get() + 1);
            self.has_sent()
        }

        fn offer(&mut self) {
            assert!(!self.0.has_buffer.replace(true), "it has the buffer");
        }

        fn take_back(&mut self) -> Result<Option<usize>, Broken> {
            assert!(self.0.has_buffer.get(), "it does not have the buffer");
            let Some((text, length)) = self.0.typed.borrow_mut().pop_front() else { return Ok(None) };
            self.0.has_buffer.set(false);
            *self.0.buffer.borrow_mut() = text.into_bytes();
            self.1 = self.0.buffer.borrow().clone();
            self.1.resize(BUFFER, 0);
            Ok(Some(length))
        }

        fn typed(&self) -> &[u8] {
            assert!(!self.0.has_buffer.get(), "the device has the buffer");
            &self.1
        }
    }

    fn console(device: &Device) -> VirtioConsole<View<'_>> {
        VirtioConsole::new(View(device, Vec::new()))
    }

    fn typed(console: &mut VirtioConsole<View<'_>>, most: usize) -> String {
        let mut buffer = vec![0; most];
        let count = console.read(&mut buffer);
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    #[test]
    fn what_is_written_before_a_flush_is_one_text() {
        let device = Device::default();
        let mut console = console(&device);
        assert_eq!(console.write(b"one") + console.write(b"\r\n"), 0);
        assert!(device.sent.borrow().is_empty());
        console.flush();
        console.flush();
        assert_eq!(*device.sent.borrow(), ["one\r\n"]);
    }

    #[test]
    fn a_long_text_arrives_whole_in_buffers() {
        let device = Device::default();
        let mut console = console(&device);
        let text: String = ('a'..='z').cycle().take(3 * BUFFER + 1).collect();
        assert_eq!(console.write(text.as_bytes()), 0);
        console.drain();
        assert_eq!(device.told(), text);
        assert_eq!(device.sent.borrow().len(), 4);
    }

    #[test]
    fn a_silent_device_is_waited_for_once_and_what_it_does_not_take_is_counted() {
        let device = Device { keeps: Cell::new(true), ..Device::default() };
        let mut console = console(&device);
        let line = [b'x'; 100];
        let dropped: u64 = (0..1000)
            .map(|_| {
                let dropped = console.write(&line);
                console.flush();
                dropped
            })
            .sum();
        console.drain();
        assert_eq!(device.waits.get(), 1);
        assert_eq!(dropped, 1000 * 100 - 100 - BUFFER as u64, "one text is on its way, one is collected");
        assert_eq!(console.news(), Some(Trouble::Silent));
        assert_eq!(console.news(), None);
    }

    #[test]
    fn a_device_that_takes_text_again_is_used_again() {
        let device = Device { keeps: Cell::new(true), ..Device::default() };
        let mut console = console(&device);
        for text in ["one ", "two "] {
            console.write(text.as_bytes());
            console.flush();
        }
        assert_eq!(device.told(), "one ");
        assert_eq!(console.news(), Some(Trouble::Silent));
        device.keeps.set(false);
        console.write(b"three");
        console.drain();
        assert_eq!(device.told(), "one two three");
        device.keeps.set(true);
        console.write(b"four");
        console.drain();
        assert_eq!(console.news(), Some(Trouble::Silent), "it is silent anew");
    }

    #[test]
    fn a_device_that_gives_back_what_it_does_not_have_is_left() {
        let device = Device::default();
        let mut console = console(&device);
        console.write(b"one");
        console.flush();
        device.lies.set(true);
        console.write(b"two");
        console.flush();
        assert_eq!(console.news(), Some(Trouble::Broken));
        device.lies.set(false);
        assert_eq!(console.write(b"three"), 5);
        console.drain();
        assert_eq!(device.told(), "one");
        device.type_text("a");
        assert_eq!(typed(&mut console, 9), "");
    }

    #[test]
    fn what_is_typed_is_read_in_pieces_and_the_buffer_goes_back() {
        let device = Device::default();
        let mut console = console(&device);
        assert_eq!(typed(&mut console, 9), "");
        device.type_text("Ada\n");
        device.type_text("");
        device.type_text("bye\n");
        assert_eq!(typed(&mut console, 1), "A");
        assert!(!device.has_buffer.get());
        assert_eq!(typed(&mut console, 9), "da\n");
        assert!(device.has_buffer.get());
        assert_eq!(typed(&mut console, 9), "", "an empty line is nothing");
        assert_eq!(typed(&mut console, 9), "bye\n");
    }

    #[test]
    fn a_device_that_claims_to_have_written_too_much_is_left() {
        let device = Device::default();
        let mut console = console(&device);
        device.typed.borrow_mut().push_back(("x".to_owned(), BUFFER + 1));
        assert_eq!(typed(&mut console, 9), "");
        assert_eq!(console.news(), Some(Trouble::Broken));
        assert_eq!(console.write(b"one"), 3);
    }

    #[test]
    fn nothing_is_read_into_no_room() {
        let device = Device::default();
        let mut console = console(&device);
        device.type_text("a");
        assert_eq!(typed(&mut console, 0), "");
        assert_eq!(typed(&mut console, 1), "a");
    }
}
