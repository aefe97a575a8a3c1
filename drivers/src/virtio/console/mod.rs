// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver of consoles (Virtual I/O Device 1.2, 5.3). It uses the first port, which is the only one of a
//! driver without multiport support.
//!
//! Text is collected, and handed over in one buffer; the next buffer waits until the device has returned that
//! one. No task waits for that: the device is polled.

pub(crate) mod port;

use core::ops::Range;

use crate::console::output::Sink;
pub use port::ConsolePort;

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
    /// It broke the protocol: it is not used any more.
    Broken,
}

impl Trouble {
    /// A line about it.
    pub const fn line(self) -> &'static str {
        match self {
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

    /// Collects some of `bytes` while the device has nothing to send, and hands over what is collected when
    /// that fills a buffer; returns how many bytes were taken.
    fn collect(&mut self, bytes: &[u8]) -> usize {
        if !self.is_free() {
            return 0;
        }
        let room = self.text.get_mut(self.collected..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.collected += taken;
        if self.collected == BUFFER {
            self.flush();
        }
        taken
    }

    /// Hands over what is collected.
    fn flush(&mut self) {
        if self.collected == 0 || !self.is_free() {
            return;
        }
        self.is_sending = true;
        self.queues.send(self.text.get(..self.collected).unwrap_or_default());
        self.collected = 0;
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

    /// Whether the device can be handed text: it has none, or has sent it.
    fn is_free(&mut self) -> bool {
        if self.is_sending && !self.is_broken() {
            match self.queues.has_sent() {
                Ok(sent) => self.is_sending = !sent,
                Err(Broken) => self.fail(Trouble::Broken),
            }
        }
        !self.is_sending && !self.is_broken()
    }

    fn is_broken(&self) -> bool {
        self.trouble == Some(Trouble::Broken)
    }

    fn fail(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.is_news = true;
    }
}

impl<Q: Queues> Sink for VirtioConsole<Q> {
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = self.collect(bytes);
        (!self.is_broken()).then_some(taken)
    }

    fn notify(&mut self) {
        self.flush();
    }

    fn is_read(&mut self) -> bool {
        self.flush();
        self.is_broken() || self.collected == 0 && self.is_free()
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
        /// What it answers to when it is asked whether it has sent, if that is wrong.
        is_faulty: Cell<bool>,
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
            if self.0.is_faulty.get() {
                return Err(Broken);
            }
            if !self.0.keeps.get() {
                self.0.has_text.set(false);
            }
            Ok(!self.0.has_text.get())
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
        assert_eq!([console.take(b"one"), console.take(b"\r\n")], [Some(3), Some(2)]);
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
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            rest = &rest[console.take(rest).unwrap()..];
        }
        console.is_read();
        assert_eq!(device.told(), text);
        assert_eq!(device.sent.borrow().len(), 4);
    }

    #[test]
    fn a_silent_device_is_not_waited_for_and_used_again_when_it_takes_text() {
        let device = Device { keeps: Cell::new(true), ..Device::default() };
        let mut console = console(&device);
        let line = [b'x'; 100];
        let taken: usize = (0..1000)
            .map(|_| {
                let taken = console.take(&line);
                console.notify();
                taken.unwrap()
            })
            .sum();
        assert_eq!(taken, 100, "one text is on its way");
        assert!(!console.is_read());
        device.keeps.set(false);
        assert!(console.is_read());
        assert_eq!(console.take(b"more"), Some(4));
        console.notify();
        assert_eq!(device.told().len(), taken + 4);
        assert_eq!(console.news(), None);
    }

    #[test]
    fn a_device_that_gives_back_what_it_does_not_have_is_left() {
        let device = Device::default();
        let mut console = console(&device);
        console.take(b"one");
        console.flush();
        device.is_faulty.set(true);
        assert_eq!(console.take(b"two"), None);
        assert_eq!(console.news(), Some(Trouble::Broken));
        device.is_faulty.set(false);
        assert_eq!(console.take(b"three"), None);
        console.is_read();
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
        assert_eq!(console.take(b"one"), None);
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
