// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffered output to a console that may be slow, or that nobody reads.
//!
//! While the kernel runs, no task waits for a console. What the console does not take at once is kept in a
//! backlog, up to a limit, and handed over later. What does not fit is dropped and counted, and a line says
//! so when there is room again. The kernel waits for a console only at boot and at the end - for a verdict or
//! a crash report - and only for a limited time in all.

use alloc::collections::VecDeque;
use core::fmt::{self, Write};
use core::time::Duration;

/// Bytes of the longest notice of dropped text.
const NOTICE: usize = 64;
/// Bytes at the end of the backlog that are kept for the last words, if the console does not take all of it.
const TAIL: usize = 1024;
/// The least time that a read of the clock is taken to last: the clock may stand still.
const MIN_READ: Duration = Duration::from_nanos(100);

/// A clock in nanoseconds for waiting for a console. `None`: wait no more, as another vCPU has the last word.
pub type Now = fn() -> Option<u64>;

/// A console. It never waits.
pub trait Sink {
    /// Takes as many of `bytes` as it can at once, and returns how many; `None` if it is broken for good.
    fn take(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Notifies the other side of what was taken.
    fn notify(&mut self) {}

    /// Whether the other side has read all that was taken.
    fn is_read(&mut self) -> bool {
        true
    }

    /// Gives the other side some time to make room.
    fn wait_for_space(&mut self) {
        core::hint::spin_loop();
    }
}

/// A limit to the time spent waiting, in all. Progress does not renew it.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: Duration,
}

impl Budget {
    /// A limit of `time`.
    pub const fn new(time: Duration) -> Self {
        Self { left: time }
    }

    /// Waits for space in `sink`, measured by `now`; false if the time is used up, or waiting was called off.
    fn wait(&mut self, sink: &mut impl Sink, now: Now) -> bool {
        let Some(start) = now().filter(|_| !self.left.is_zero()) else { return false };
        sink.wait_for_space();
        let end = now().unwrap_or(start);
        let waited = Duration::from_nanos(end.saturating_sub(start));
        self.left = self.left.saturating_sub(waited.max(MIN_READ));
        true
    }
}

/// A console, and the text that it has not taken yet.
pub struct Output<S> {
    sink: S,
    backlog: VecDeque<u8>,
    /// Bytes that the backlog may have, but for a notice.
    limit: usize,
    /// Bytes that were dropped and not told of.
    unreported: u64,
    /// Bytes that were dropped.
    lost: u64,
}

impl<S: Sink> Output<S> {
    /// One that keeps nothing yet.
    pub const fn new(sink: S) -> Self {
        Self { sink, backlog: VecDeque::new(), limit: 0, unreported: 0, lost: 0 }
    }

    /// The console itself.
    pub fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Has it keep up to `bytes` of text, as soon as there is memory for that.
    pub fn keep(&mut self, bytes: usize) {
        if self.backlog.try_reserve_exact(bytes.saturating_add(NOTICE)).is_ok() {
            self.limit = bytes;
        }
    }

    /// Bytes that were dropped.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Hands `bytes` over, behind what waits, or keeps them.
    pub fn write(&mut self, bytes: &[u8]) {
        self.drain();
        let taken = if self.backlog.is_empty() { self.take(bytes) } else { 0 };
        let rest = bytes.get(taken..).unwrap_or_default();
        if rest.len() <= self.limit.saturating_sub(self.backlog.len()) {
            self.backlog.extend(rest);
        } else {
            self.drop_bytes(rest.len());
        }
    }

    /// Hands the backlog over as far as the console takes it, and returns how many bytes that were.
    pub fn drain(&mut self) -> usize {
        let taken = self.hand_over();
        if self.backlog.is_empty() && self.unreported != 0 && self.limit != 0 {
            self.queue_notice();
            return taken + self.hand_over();
        }
        taken
    }

    fn hand_over(&mut self) -> usize {
        let before = self.backlog.len();
        while let (front @ [_, ..], _) = self.backlog.as_slices() {
            match self.sink.take(front) {
                Some(0) => break,
                Some(taken) => drop(self.backlog.drain(..taken.min(front.len()))),
                None => {
                    self.lost = self.lost.saturating_add(self.backlog.len() as u64);
                    self.backlog.clear();
                }
            }
        }
        before - self.backlog.len()
    }

    /// Hands `bytes` over behind the backlog, and waits for the console as long as `budget` lasts. What it
    /// does not take then is kept or dropped, as by [`write`](Self::write).
    pub fn write_waiting(&mut self, bytes: &[u8], budget: &mut Budget, now: Now) {
        if !self.flush(budget, now) {
            return self.write(bytes);
        }
        let mut rest = bytes;
        loop {
            let taken = self.take(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            self.sink.notify();
            if !budget.wait(&mut self.sink, now) {
                // It may have taken some during the last wait.
                return self.write(rest);
            }
        }
    }

    /// Waits until the console has taken the backlog, as long as `budget` lasts; whether it has.
    pub fn flush(&mut self, budget: &mut Budget, now: Now) -> bool {
        loop {
            self.drain();
            if self.backlog.is_empty() {
                return true;
            }
            self.sink.notify();
            if !budget.wait(&mut self.sink, now) {
                return false;
            }
        }
    }

    /// Waits until the other side has read everything, as long as `budget` lasts.
    pub fn wait_until_read(&mut self, budget: &mut Budget, now: Now) {
        self.flush(budget, now);
        while !self.sink.is_read() && budget.wait(&mut self.sink, now) {}
    }

    /// Makes way for the last words: waits for the backlog as long as `budget` lasts, and then drops all of
    /// it but its end.
    pub fn make_way(&mut self, budget: &mut Budget, now: Now) {
        if self.flush(budget, now) || self.backlog.len() <= TAIL {
            return;
        }
        let surplus = self.backlog.len() - TAIL;
        self.backlog.drain(..surplus);
        self.drop_bytes(surplus);
        self.queue_notice();
    }

    /// Takes what the sink takes; all of it if it is broken.
    fn take(&mut self, bytes: &[u8]) -> usize {
        match self.sink.take(bytes) {
            Some(taken) => taken.min(bytes.len()),
            None => {
                self.lost = self.lost.saturating_add(bytes.len() as u64);
                bytes.len()
            }
        }
    }

    fn drop_bytes(&mut self, count: usize) {
        self.unreported = self.unreported.saturating_add(count as u64);
        self.lost = self.lost.saturating_add(count as u64);
    }

    /// Puts the notice of dropped text in front of the backlog.
    fn queue_notice(&mut self) {
        let mut notice = Notice { text: [0; NOTICE], length: 0 };
        // Always fits.
        let _ = write!(notice, "\r\n[{} bytes of console output lost]\r\n", self.unreported);
        let text = notice.text.get(..notice.length).unwrap_or_default();
        if self.backlog.capacity() - self.backlog.len() >= text.len() {
            text.iter().rev().for_each(|byte| self.backlog.push_front(*byte));
            self.unreported = 0;
        }
    }
}

struct Notice {
    text: [u8; NOTICE],
    length: usize,
}

impl Write for Notice {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.text.get_mut(self.length..self.length + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    std::thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    fn now() -> Option<u64> {
        Some(NOW.get())
    }

    const SECOND: u64 = 1_000_000_000;

    /// A console that has room for so many bytes, and gets some more with each pause, which takes so long.
    #[derive(Default)]
    struct Slow {
        got: Vec<u8>,
        room: usize,
        more: usize,
        pause: u64,
        naps: u64,
        broken: bool,
    }

    impl Sink for Slow {
        fn take(&mut self, bytes: &[u8]) -> Option<usize> {
            let taken = bytes.len().min(self.room);
            self.got.extend(&bytes[..taken]);
            self.room -= taken;
            (!self.broken).then_some(taken)
        }

        fn wait_for_space(&mut self) {
            NOW.set(NOW.get() + self.pause);
            self.naps += 1;
            self.room += self.more;
        }
    }

    fn text(output: &Output<Slow>) -> &str {
        core::str::from_utf8(&output.sink.got).unwrap()
    }

    fn output(room: usize, limit: usize) -> Output<Slow> {
        let mut output = Output::new(Slow { room, pause: 1000, ..Slow::default() });
        output.keep(limit);
        output
    }

    #[test]
    fn what_is_not_taken_is_handed_over_later_and_nobody_waits() {
        let mut output = output(4, 100);
        output.write(b"one two ");
        output.write(b"three");
        assert_eq!((text(&output), output.waiting()), ("one ", 9));
        output.sink.room = 100;
        assert_eq!(output.drain(), 9);
        assert_eq!((text(&output), output.lost(), output.sink.naps), ("one two three", 0, 0));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told_of_when_there_is_room() {
        let mut output = output(0, 10);
        output.write(b"0123456789");
        output.write(b"lost");
        output.write(b"lost too");
        output.sink.room = 1000;
        output.write(b"seen");
        assert_eq!(text(&output), "0123456789\r\n[12 bytes of console output lost]\r\nseen");
        assert_eq!(output.lost(), 12);
    }

    #[test]
    fn a_console_that_takes_a_byte_now_and_then_does_not_renew_the_time() {
        NOW.set(0);
        let mut output = output(0, 0);
        (output.sink.more, output.sink.pause) = (1, 4_900_000_000);
        let mut budget = Budget::new(Duration::from_secs(5));
        for _ in 0..100 {
            output.write_waiting(b"a line of text\r\n", &mut budget, now);
        }
        assert!(NOW.get() <= 10 * SECOND, "it took {} ns", NOW.get());
        assert_eq!(output.lost() as usize + output.sink.got.len(), 1600);
    }

    #[test]
    fn a_clock_that_stands_still_ends_the_wait_too() {
        let mut output = output(0, 0);
        output.sink.pause = 0;
        output.write_waiting(b"x", &mut Budget::new(Duration::from_micros(1)), now);
        assert_eq!((output.sink.naps, output.lost()), (10, 1));
    }

    #[test]
    fn waiting_without_a_budget_gives_up_after_one_pause() {
        fn now_until_one() -> Option<u64> {
            (NOW.get() < SECOND).then(|| NOW.get())
        }
        NOW.set(0);
        let mut output = output(0, 100);
        output.sink.pause = SECOND;
        let mut budget = Budget::new(Duration::from_secs(60));
        output.write_waiting(b"one", &mut budget, now_until_one);
        output.write_waiting(b"two", &mut budget, now_until_one);
        output.wait_until_read(&mut budget, now_until_one);
        assert_eq!((output.sink.naps, output.waiting()), (1, 6));
    }

    #[test]
    fn last_words_arrive_though_the_backlog_is_full_and_the_console_slow() {
        let mut output = output(0, 16 * 1024);
        (0..1000).for_each(|_| output.write(b"0123456789abcdef"));
        output.write(b"the end of it");
        (output.sink.more, output.sink.pause) = (1, SECOND / 1000);
        output.make_way(&mut Budget::new(Duration::from_secs(5)), now);
        let mut budget = Budget::new(Duration::from_secs(5));
        output.write_waiting(b"Test result: SUCCESS\r\n", &mut budget, now);
        output.wait_until_read(&mut budget, now);
        assert!(text(&output).ends_with("the end of itTest result: SUCCESS\r\n"));
        assert!(text(&output).contains(" bytes of console output lost]"));
    }

    #[test]
    fn a_console_that_is_broken_costs_nothing() {
        let mut output = output(0, 100);
        output.write(b"one");
        output.sink.broken = true;
        output.write(b"two");
        assert_eq!((output.lost(), output.waiting()), (6, 0));
    }

    proptest! {
        #[test]
        fn each_byte_arrives_in_order_or_is_counted(
            limit in 0..200usize, steps in proptest::collection::vec((0..60usize, 0..80usize), 1..60),
        ) {
            let mut output = output(0, limit);
            let mut written = 0;
            for (length, room) in steps {
                output.sink.room += room;
                output.write(&vec![b'x'; length]);
                written += length as u64;
                prop_assert!(output.waiting() <= limit + NOTICE);
            }
            output.sink.room = 1 << 20;
            output.drain();
            output.drain();
            let arrived = output.sink.got.iter().filter(|byte| **byte == b'x').count() as u64;
            prop_assert_eq!(arrived + output.lost(), written);
            let told: u64 = text(&output).split('[').filter_map(|part| part.split_once(" bytes")?.0.parse::<u64>().ok()).sum();
            prop_assert!(told == output.lost() || limit == 0);
        }
    }
}
