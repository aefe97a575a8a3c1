// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of our data is on its way in a TCP connection, and how much may be.

use core::time::Duration;

use super::congestion::Congestion;
use super::headers::{ACK, FIN, Headers, RST, SYN, Tuple};
use super::peer::Peer;
use super::prompt::Prompt;

/// Times that data is sent again before its size is suspected to be why none of it arrives.
const SUSPECT: u32 = 2;

/// Acknowledgements of the same data that mean a loss: RFC 5681, section 3.2.
pub(super) const DUPLICATES: u32 = 3;

/// Time in which the stack sends its answer to a SYN again, if that is not acknowledged.
const ANSWERED: Duration = Duration::from_secs(3);

/// A TCP connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    tuple: Tuple,
    /// The number that ours began with.
    begin: Option<u32>,
    /// The first number that is not acknowledged.
    first: u32,
    /// The one behind the last that was sent.
    next: u32,
    /// Our SYN answers the peer's.
    is_answer: bool,
    /// The peer has acknowledged something, and the connection is not over.
    is_alive: bool,
    /// The numbers behind the end of what we send, and of what the peer does, once that was told.
    ends: [Option<u32>; 2],
    /// Times that what begins at `first` was sent again.
    times: u32,
    /// Of those, when it was not known why.
    time_outs: u32,
    /// It is known why the next one is sent again.
    is_expected: bool,
    /// What of the peer's we acknowledged last.
    received: u32,
    /// When something was sent last, in nanoseconds.
    used: u64,
    /// What the peer said in its SYN.
    peer: Option<Peer>,
    /// The same of a SYN that came later: of the next connection between these ends, or from somebody else.
    next_peer: Option<Peer>,
    congestion: Option<Congestion>,
    /// Acknowledgements of nothing new since the last one of something.
    duplicates: u32,
    /// What was on its way when something got lost: up to here it is one loss.
    recovery: Option<u32>,
    /// The window that the peer told last, and the one that the stack was told.
    windows: Option<(u16, u16)>,
}

/// What the stack is told of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The window.
    pub(super) window: u16,
    /// Times that it is told again.
    pub(super) repeats: u8,
}

impl Flow {
    pub(super) fn new(tuple: Tuple, sequence: u32, now: u64) -> Self {
        Self {
            tuple,
            begin: None,
            first: sequence,
            next: sequence,
            is_answer: false,
            is_alive: false,
            ends: [None; 2],
            times: 0,
            time_outs: 0,
            is_expected: false,
            received: 0,
            used: now,
            peer: None,
            next_peer: None,
            congestion: None,
            duplicates: 0,
            recovery: None,
            windows: None,
        }
    }

    /// Whether it is the connection of these ends.
    pub(super) fn is_of(&self, tuple: &Tuple) -> bool {
        self.tuple == *tuple
    }

    /// What makes one stay longer than others.
    pub(super) fn worth(&self) -> (bool, bool, u64) {
        (self.is_alive, self.first != self.next, self.used)
    }

    /// Our SYN begins it with `sequence`, or is sent again; it answers the peer's, if `is_answer`.
    pub(super) fn open(&mut self, sequence: u32, is_answer: bool, now: u64) {
        if self.begin != Some(sequence) {
            let peer = self.next_peer.or(self.peer);
            *self = Self { begin: Some(sequence), peer, ..Self::new(self.tuple, sequence, now) };
        }
        self.is_answer = is_answer;
        if is_answer {
            self.begin_control();
        }
    }

    /// The peer's SYN says this of it, with segments for this network.
    pub(super) fn meet(&mut self, peer: Peer) {
        self.next_peer = Some(peer);
        if !self.is_alive {
            self.peer = self.next_peer;
        }
    }

    fn begin_control(&mut self) {
        if self.congestion.is_none() {
            self.congestion = self.peer.map(|peer| Congestion::new(peer.segment.into()));
        }
    }

    /// `length` numbers from `sequence` on are sent. True if their beginning has been sent so often before,
    /// without anything being acknowledged, that their size may be why.
    pub(super) fn send(&mut self, sequence: u32, length: u32, now: u64) -> bool {
        self.used = now;
        let is_again = sequence == self.first && self.next != self.first;
        if is_again {
            self.send_again();
        }
        let end = sequence.wrapping_add(length);
        if distance(end, self.next) > 0 {
            self.next = end;
        }
        is_again && self.times >= SUSPECT
    }

    fn send_again(&mut self) {
        self.times = self.times.saturating_add(1);
        // A peer without room is asked again and again.
        let has_room = self.windows.is_none_or(|(window, _)| window != 0);
        if core::mem::take(&mut self.is_expected) || !has_room {
            return;
        }
        if self.time_outs == 0
            && let Some(congestion) = &mut self.congestion
        {
            congestion.time_out();
            self.recovery = Some(self.next);
        }
        self.time_outs = self.time_outs.saturating_add(1);
    }

    /// Whether our answer to the peer's SYN left a moment ago, and was not acknowledged yet.
    pub(super) fn has_answered(&self, now: u64) -> bool {
        let is_fresh = Duration::from_nanos(now.saturating_sub(self.used)) < ANSWERED;
        self.is_answer && !self.is_alive && is_fresh
    }

    /// We acknowledge the peer's numbers before `sequence`.
    pub(super) fn note_received(&mut self, sequence: u32) {
        self.received = sequence;
        self.end_if_both_did();
    }

    /// We send the last of our numbers, the one before `sequence`.
    pub(super) fn note_end(&mut self, sequence: u32) {
        self.ends[0] = Some(sequence);
    }

    /// We reset the connection. A segment that has nothing to do with a half-open one is answered so, too.
    pub(super) fn note_reset(&mut self) {
        if self.is_alive {
            self.end();
        }
    }

    /// Both sides have sent all, and know it of each other.
    fn end_if_both_did(&mut self) {
        if self.ends == [Some(self.first), Some(self.received)] {
            self.end();
        }
    }

    /// The connection is over: what comes is of the next one.
    fn end(&mut self) {
        (self.is_alive, self.is_answer, self.begin, self.ends) = (false, false, None, [None; 2]);
    }

    /// What has a `stack` send again at once, whose numbers are moved by `offset`; `None` if there is no
    /// connection.
    pub(super) fn prompt(&self, stack: Tuple, offset: u32) -> Option<Prompt> {
        let (_, window) = self.windows.filter(|_| self.is_alive)?;
        let acknowledged = self.first.wrapping_sub(offset);
        Some(Prompt { stack, sequence: self.received, acknowledged, window })
    }

    /// What has a `stack` tell the peer where its connection is, or that there is none any more: what peers
    /// ask who have been silent (RFC 9293, section 3.8.4). The stack tells it once a second at most.
    pub(super) fn challenge(&self, stack: Tuple, offset: u32) -> Option<Prompt> {
        let prompt = self.prompt(stack, offset)?;
        Some(Prompt { sequence: prompt.sequence.wrapping_sub(1), ..prompt })
    }

    /// A router has said why the stack will send what is on its way again: it is no congestion, and there is
    /// nothing to suspect.
    pub(super) fn expect_again(&mut self) {
        self.is_expected = true;
        self.times = 0;
    }

    /// The peer's segment is in `frame`; what the stack is told of it.
    pub(super) fn receive(&mut self, frame: &[u8], headers: &Headers, now: impl FnOnce() -> u64) -> Told {
        let raw = headers.window(frame);
        let flags = headers.flags(frame);
        // Resets with other numbers may be from anybody: RFC 5961, section 3.2.
        if flags & RST != 0 && headers.sequence(frame) == self.received {
            self.end();
        }
        if flags & FIN != 0 {
            self.ends[1] = Some(headers.sequence(frame).wrapping_add(headers.numbers(frame)));
        }
        if flags & (ACK | RST) != ACK {
            return Told { window: raw, repeats: 0 };
        }
        let is_syn = flags & SYN != 0;
        if is_syn && !self.is_alive {
            self.begin_control();
        }
        let acknowledged = headers.acknowledgement(frame);
        let is_same = self.windows.is_some_and(|(last, _)| last == raw);
        let is_duplicate =
            is_same && acknowledged == self.first && self.next != self.first && headers.numbers(frame) == 0;
        self.acknowledge(acknowledged, now);
        let before = self.windows.map_or(raw, |(_, told)| told);
        let mut told = Told { window: self.told(raw, is_syn), repeats: 0 };
        if is_duplicate {
            told = self.receive_duplicate(raw, before);
        }
        self.windows = Some((raw, told.window));
        self.end_if_both_did();
        told
    }

    /// The peer acknowledges all numbers before `sequence`.
    fn acknowledge(&mut self, sequence: u32, now: impl FnOnce() -> u64) {
        let in_flight = self.next.wrapping_sub(self.first);
        let bytes = sequence.wrapping_sub(self.first);
        if bytes == 0 || bytes > in_flight || in_flight > i32::MAX as u32 {
            return;
        }
        self.first = sequence;
        self.is_alive = true;
        (self.times, self.time_outs, self.duplicates) = (0, 0, 0);
        self.recovery = self.recovery.filter(|end| distance(*end, sequence) > 0);
        if let Some(congestion) = &mut self.congestion
            && (self.recovery.is_none() || congestion.is_slow())
        {
            congestion.acknowledge(bytes, in_flight, now());
        }
    }

    /// The stack sends again what a third duplicate acknowledges the loss of, as far as its window goes. That
    /// has to be smaller by then; but a segment with another window is no duplicate to it. So it sees the
    /// third one again, as often as it takes.
    fn receive_duplicate(&mut self, raw: u16, before: u16) -> Told {
        let unchanged = Told { window: before.min(raw), repeats: 0 };
        self.duplicates = self.duplicates.saturating_add(1);
        if self.duplicates != DUPLICATES {
            return unchanged;
        }
        self.is_expected = true;
        let Some(congestion) = self.congestion.as_mut().filter(|_| self.recovery.is_none()) else {
            return unchanged;
        };
        congestion.lose();
        self.recovery = Some(self.next);
        let window = self.told(raw, false);
        Told { window, repeats: if window == before { 0 } else { DUPLICATES as u8 } }
    }

    /// The window that the stack is told, if the peer tells `raw`.
    fn told(&self, raw: u16, is_syn: bool) -> u16 {
        let (Some(congestion), Some(peer)) = (&self.congestion, &self.peer) else { return raw };
        let shift = if is_syn { 0 } else { peer.shift };
        let most = u16::try_from(congestion.window() >> shift).unwrap_or(u16::MAX);
        // None at all would be another thing.
        raw.min(most.max(1))
    }

    /// Whether `sequence` is on its way.
    pub(super) fn is_under_way(&self, sequence: u32) -> bool {
        distance(sequence, self.first) >= 0 && distance(self.next, sequence) > 0
    }
}

/// By how much `a` is behind `b` (RFC 9293, section 3.4).
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}
