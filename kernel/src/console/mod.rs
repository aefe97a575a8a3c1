// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console: output and input.
//!
//! The best of five sinks is used: the PV ring, Xen's own console (for the initial domain, which has no
//! ring), a serial port, the debug port 0xE9, the screen. A virtio console is used beside the last three, or
//! alone. A crash report goes to all sinks.
//!
//! A slow console blocks no one (`prism_drivers::console::output`): text that it does not take at once is
//! buffered, and a task flushes it later. Only before tasks run and at the end do writers wait, for a few
//! seconds in all.
//!
//! At the end of the domain one vCPU owns the console (`prism_drivers::console::last_word`): what others
//! write then is dropped.

mod lock;
pub(crate) mod logger;
pub(crate) mod nmi;
pub(crate) mod panic;
mod ring;

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};

use embassy_time::{Duration, Timer};
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use prism_boot::command_line::ConsoleSinks;
use prism_drivers::console::keyboard::Keyboard;
use prism_drivers::console::last_word::LastWord;
use prism_drivers::console::output::{Budget, Output, Sink};
use prism_drivers::console::prompt::Prompt;
use prism_drivers::console::serial::Serial;
use prism_drivers::console::vga::Screen;
use prism_drivers::virtio::console::VirtioConsole;
use spin::Once;
use uart_16550::backend::PioBackend;
use xen::event::Port;

use crate::devices::virtio;
use crate::hypervisor::event::EventChannel;
use crate::memory;
use crate::memory::registers::MappedRegisters;
use crate::ports::CpuPorts;
use crate::task::executor;
use crate::time::{self, Deadline};

use lock::{Held, Lock};
pub(crate) use ring::RingEnd;

/// How long writers wait for consoles at boot in all; at the end twice as long.
const FLUSH_TIMEOUT: core::time::Duration = core::time::Duration::from_secs(5);
/// How long the vCPU that ends the domain waits for the lock: longer than any holder waits for a console.
const LOCK_TIMEOUT: core::time::Duration = FLUSH_TIMEOUT.saturating_mul(2);
/// Size of the buffer for a slow console, in bytes; a small domain has a smaller one.
const BACKLOG: usize = 64 * 1024;
const SMALL_BACKLOG: usize = 16 * 1024;
/// A domain with less memory is small, in bytes.
const SMALL: u64 = 64 << 20;
/// Pause before a full console is tried again: at first, and at most.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a console without interrupts is polled for input: as fast as people type.
const KEY_POLL: Duration = Duration::from_millis(20);

static CONSOLE: Lock = Lock::new(Console::nowhere());
/// Which vCPU ends the domain.
static ENDING: LastWord = LastWord::new();
/// The event of the ring, which announces input.
static INPUT: Once<EventChannel> = Once::new();

/// All sinks, and which of them are used.
pub(crate) struct Console {
    used: ConsoleSinks,
    available: ConsoleSinks,
    ring: Option<Output<RingEnd>>,
    serial: Option<Output<Serial<PioBackend>>>,
    screen: Option<Screen<MappedRegisters, CpuPorts>>,
    keyboard: Option<Keyboard<CpuPorts>>,
    virtio: Option<Output<VirtioConsole<virtio::ConsolePort>>>,
    early_log: EarlyLog,
    /// The line that is typed; none before the first one.
    prompt: Option<Box<Prompt>>,
    phase: Phase,
    /// How long writers may still wait for consoles.
    budget: Budget,
    /// The task that flushes buffered text.
    flusher: Option<Waker>,
}

/// Whether writers wait for consoles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Yes: no task runs that could flush later.
    Boot,
    /// No.
    Running,
    /// Yes: there is no later. This vCPU ends the domain.
    LastWord(u32),
}

/// The first text that was written, up to 2 KiB. A sink that is opened later gets it too.
#[derive(Clone, Copy)]
struct EarlyLog {
    text: [u8; 2048],
    length: usize,
}

impl Console {
    const fn nowhere() -> Self {
        Self {
            used: ConsoleSinks::empty(),
            available: ConsoleSinks::empty(),
            ring: None,
            serial: None,
            screen: None,
            keyboard: None,
            virtio: None,
            early_log: EarlyLog { text: [0; 2048], length: 0 },
            prompt: None,
            phase: Phase::Boot,
            budget: Budget::new(FLUSH_TIMEOUT),
            flusher: None,
        }
    }

    /// Writes to the sinks in use, with `\r\n` where a terminal listens.
    fn write(&mut self, text: &[u8], sinks: ConsoleSinks) {
        let sinks = sinks & self.available;
        if sinks.contains(ConsoleSinks::XEN) {
            let _ = xen::console::write_to_xen(&Hypervisor, text);
        }
        if sinks.contains(ConsoleSinks::DEBUG) {
            cpu::debug_port_write(text);
        }
        if sinks.contains(ConsoleSinks::VGA)
            && let Some(screen) = &mut self.screen
        {
            screen.write(text);
        }
        let waits = self.phase != Phase::Running;
        let budget = &mut self.budget;
        if let Some(ring) = self.ring.as_mut().filter(|_| sinks.contains(ConsoleSinks::PV)) {
            put(ring, text, waits, budget);
        }
        if let Some(serial) = self.serial.as_mut().filter(|_| sinks.contains(ConsoleSinks::SERIAL)) {
            put(serial, text, waits, budget);
        }
        if let Some(virtio) = self.virtio.as_mut().filter(|_| sinks.contains(ConsoleSinks::VIRTIO)) {
            put(virtio, text, waits, budget);
            if let Some(trouble) = virtio.sink().news() {
                self.write(trouble.line().as_bytes(), sinks - ConsoleSinks::VIRTIO);
            }
        }
    }

    /// Writes text to the sinks in use, above the line that is typed.
    fn write_above(&mut self, text: &[u8]) {
        let used = self.used;
        match self.prompt.take() {
            Some(mut prompt) => {
                prompt.write(text, |part| self.write(part, used));
                self.prompt = Some(prompt);
            }
            None => self.write(text, used),
        }
    }

    /// Goes on below the line that is typed.
    fn end_prompt(&mut self) {
        let used = self.used;
        if let Some(mut prompt) = self.prompt.take() {
            prompt.end(|part| self.write(part, used));
            self.prompt = Some(prompt);
        }
    }

    /// Buffers text from now on: a task flushes it.
    fn run(&mut self, backlog: usize) {
        if let Some(ring) = &mut self.ring {
            ring.keep(backlog);
        }
        if let Some(serial) = &mut self.serial {
            serial.keep(backlog);
        }
        if let Some(virtio) = &mut self.virtio {
            virtio.keep(backlog);
        }
        self.phase = Phase::Running;
    }

    /// Waits for consoles from now on, and makes room for the last lines, which the calling vCPU writes.
    fn end(&mut self) {
        let ending = Phase::LastWord(vcpu::number());
        if self.phase == ending {
            return;
        }
        self.phase = ending;
        self.budget = Budget::new(FLUSH_TIMEOUT);
        let mut budget = Budget::new(FLUSH_TIMEOUT);
        if let Some(ring) = &mut self.ring {
            ring.sink().is_quiet = false;
            ring.make_way(&mut budget, now);
        }
        if let Some(serial) = &mut self.serial {
            serial.make_way(&mut budget, now);
        }
        if let Some(virtio) = &mut self.virtio {
            virtio.make_way(&mut budget, now);
        }
        self.end_prompt();
    }

    /// Waits until all text is read.
    fn wait_until_read(&mut self) {
        if let Some(ring) = self.ring.as_mut().filter(|_| self.used.contains(ConsoleSinks::PV)) {
            ring.wait_until_read(&mut self.budget, now);
        }
        if let Some(serial) = &mut self.serial {
            serial.wait_until_read(&mut self.budget, now);
        }
        if let Some(virtio) = &mut self.virtio {
            virtio.wait_until_read(&mut self.budget, now);
        }
    }

    /// Flushes buffered text as far as the consoles take it. Returns how many bytes that was.
    fn hand_over(&mut self) -> usize {
        let ring = self.ring.as_mut().map_or(0, hand_over);
        let serial = self.serial.as_mut().map_or(0, hand_over);
        ring + serial + self.virtio.as_mut().map_or(0, hand_over)
    }

    /// Number of buffered bytes.
    fn waiting(&self) -> usize {
        let ring = self.ring.as_ref().map_or(0, Output::waiting);
        let serial = self.serial.as_ref().map_or(0, Output::waiting);
        ring + serial + self.virtio.as_ref().map_or(0, Output::waiting)
    }

    /// Number of dropped bytes.
    fn lost(&self) -> u64 {
        let ring = self.ring.as_ref().map_or(0, Output::lost);
        let serial = self.serial.as_ref().map_or(0, Output::lost);
        ring + serial + self.virtio.as_ref().map_or(0, Output::lost)
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.used.contains(ConsoleSinks::PV)
            && let Some(ring) = &mut self.ring
        {
            return ring.sink().read(buffer);
        }
        let mut count = self.serial.as_mut().map_or(0, |port| port.sink().read(buffer));
        if count == 0 && self.used.contains(ConsoleSinks::VIRTIO) {
            count = self.virtio.as_mut().map_or(0, |console| console.sink().read(buffer));
        }
        if count == 0 && self.used.contains(ConsoleSinks::VGA) {
            count = self.keyboard.as_mut().map_or(0, |keyboard| keyboard.read(buffer));
        }
        count
    }
}

impl EarlyLog {
    fn add(&mut self, text: &[u8]) {
        let room = self.text.get_mut(self.length..).unwrap_or_default();
        self.length += room.len().min(text.len());
        room.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// Writes to a console, with `\r\n` line ends.
fn put<S: Sink>(output: &mut Output<S>, text: &[u8], waits: bool, budget: &mut Budget) {
    for (line, end) in lines(text) {
        for part in [line, if end { b"\r\n".as_slice() } else { b"" }] {
            if waits {
                output.write_waiting(part, budget, now);
            } else {
                output.write(part);
            }
        }
    }
    output.sink().notify();
}

/// The time, for a writer that waits for a console; `None` stops the wait, as another vCPU ends the domain.
fn now() -> Option<u64> {
    may_write().then(time::nanoseconds)
}

/// Whether the calling vCPU may write: no other one ends the domain.
fn may_write() -> bool {
    ENDING.lets_write(vcpu::number())
}

fn hand_over<S: Sink>(output: &mut Output<S>) -> usize {
    let taken = output.drain();
    if taken != 0 {
        output.sink().notify();
    }
    taken
}

/// The lines of `text`, each with whether a line end follows.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| match line.split_last() {
        Some((b'\n', line)) => (line, true),
        _ => (line, false),
    })
}

/// Opens what works from the first instruction on: Xen's own console, or the debug port.
pub(crate) fn init(ports: bool) {
    PORTS.store(ports, Ordering::Relaxed);
    let mut console = CONSOLE.lock();
    console.available = if ports { ConsoleSinks::DEBUG } else { ConsoleSinks::XEN };
    console.used = console.available;
}

/// Adds the PV ring.
pub(crate) fn add_ring(ring: RingEnd) {
    let mut console = CONSOLE.lock();
    console.ring = Some(Output::new(ring));
    console.available |= ConsoleSinks::PV;
}

/// Goes on with the ring of the domain that this one was restored into, whose event channel is `port`.
pub(crate) fn resume(port: Port) {
    if let Some(ring) = &mut CONSOLE.lock().ring {
        ring.sink().restart(port);
    }
}

/// Does `work`, which writes several lines, and tells whoever reads the ring of all of them at once: each
/// time is a hypercall.
pub(crate) fn write_at_once(work: impl FnOnce()) {
    let be_quiet = |is_quiet| {
        if let Some(ring) = &mut CONSOLE.lock().ring {
            ring.sink().is_quiet = is_quiet;
            ring.sink().notify();
        }
    };
    be_quiet(true);
    work();
    be_quiet(false);
}

/// Whether somebody has read all text, or nobody ever will. Text that is still in the ring when the domain is
/// saved is lost.
pub(crate) fn is_read() -> bool {
    let mut console = CONSOLE.lock();
    let waiting = console.waiting();
    waiting == 0 && console.ring.as_mut().is_none_or(|ring| ring.sink().is_read())
}

/// Has the ring's event announce input from now on.
pub(crate) fn use_events() {
    let port = CONSOLE.lock().ring.as_mut().map(|ring| ring.sink().port);
    if let Some(channel) = port.and_then(|port| EventChannel::of_toolstack(port).ok()) {
        INPUT.call_once(|| channel);
    }
}

/// Waits until there may be input. Call this when there is none.
pub(crate) async fn wait_for_input() {
    match INPUT.get() {
        Some(channel) => {
            channel.found_nothing();
            channel.wait().await;
        }
        // A serial port, a keyboard and a virtio console do not announce input here: poll.
        None => Timer::after(KEY_POLL).await,
    }
}

/// Adds Xen's own console.
pub(crate) fn add_xen() {
    CONSOLE.lock().available |= ConsoleSinks::XEN;
}

/// Adds the first serial port, and says whether there is one.
pub(crate) fn add_serial() -> bool {
    let mut console = CONSOLE.lock();
    console.serial = Serial::new(cpu::com1()).map(Output::new);
    let there = console.serial.is_some();
    console.available.set(ConsoleSinks::SERIAL, there);
    there
}

/// Adds the screen, and the keyboard with it.
pub(crate) fn add_screen(screen: Screen<MappedRegisters, CpuPorts>) {
    let mut console = CONSOLE.lock();
    console.screen = Some(screen);
    console.keyboard = Keyboard::new(CpuPorts);
    console.available |= ConsoleSinks::VGA;
}

/// Adds a virtio console.
pub(crate) fn add_virtio(port: virtio::ConsolePort) {
    let mut console = CONSOLE.lock();
    console.virtio = Some(Output::new(VirtioConsole::new(port)));
    console.available |= ConsoleSinks::VIRTIO;
}

/// Whether a sink is there.
pub(crate) fn has(sink: ConsoleSinks) -> bool {
    CONSOLE.lock().available.contains(sink)
}

/// Uses the `wanted` sinks that exist, or all if none of them does. A newly used sink gets the early log.
pub(crate) fn choose(wanted: ConsoleSinks) {
    let mut console = CONSOLE.lock();
    let usable = wanted & console.available;
    let used = if usable.is_empty() { console.available } else { usable };
    let new = used - console.used;
    console.used = used;
    let early_log = console.early_log;
    console.write(early_log.text(), new);
}

/// Writes text to the sinks in use. Text that a slow sink does not take at once is buffered, up to 64 KiB (16
/// KiB in a small domain), and flushed while tasks wait. Text beyond that is dropped, and a line tells how
/// much. While another vCPU ends the domain, all text is dropped.
pub fn write(text: &str) {
    let Some(mut console) = CONSOLE.lock_while(may_write).filter(|_| may_write()) else { return };
    console.early_log.add(text.as_bytes());
    console.write_above(text.as_bytes());
    wake_flusher(console);
}

/// Has a task flush what is buffered.
fn wake_flusher(mut console: Held) {
    let flusher = if console.waiting() != 0 { console.flusher.take() } else { None };
    drop(console);
    flusher.into_iter().for_each(Waker::wake);
}

/// Shows `line` below all other text, in place of the line shown before: what is written meanwhile, by any
/// vCPU, appears above it. It is for a terminal, has to begin with `\r`, and has to fit one row. Bytes
/// beyond 512 are not shown.
pub fn show_prompt(line: &str) {
    let Some(mut console) = CONSOLE.lock_while(may_write).filter(|_| may_write()) else { return };
    let used = console.used;
    let mut prompt = console.prompt.take().unwrap_or_else(|| Box::new(Prompt::none()));
    prompt.set(line, |part| console.write(part, used));
    console.prompt = Some(prompt);
    wake_flusher(console);
}

/// Leaves the line that [`show_prompt`] showed as it is, and goes on below it.
pub fn end_prompt() {
    let Some(mut console) = CONSOLE.lock_while(may_write).filter(|_| may_write()) else { return };
    console.end_prompt();
    wake_flusher(console);
}

/// Waits until all buffered text is flushed. If no one reads the console that takes for ever;
/// [`with_timeout`](crate::task::with_timeout) sets a limit.
pub async fn flush() {
    while CONSOLE.lock().waiting() != 0 {
        Timer::after(PAUSE).await;
    }
}

/// Buffers text for slow consoles from now on, for [`flush_kept`] to flush.
pub(crate) fn run() {
    let backlog = if memory::usage().total < SMALL { SMALL_BACKLOG } else { BACKLOG };
    CONSOLE.lock().run(backlog);
}

/// Flushes buffered text, for ever. A console that takes nothing is tried ever more seldom.
pub(crate) async fn flush_kept() {
    loop {
        poll_fn(|context| {
            let mut console = CONSOLE.lock();
            if console.waiting() != 0 {
                return Poll::Ready(());
            }
            console.flusher = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let mut pause = PAUSE;
        while CONSOLE.lock().waiting() != 0 {
            Timer::after(pause).await;
            let taken = CONSOLE.lock().hand_over();
            pause = if taken != 0 { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        }
    }
}

/// Begins the end of the domain: flushes what is buffered, for some seconds at most, and waits for consoles
/// from now on. What other vCPUs write is dropped.
pub(crate) fn end() {
    if let Some(mut console) = lock_to_end() {
        console.end();
    }
}

/// Reads input, up to the size of `buffer`, and returns how much that was.
pub(crate) fn read(buffer: &mut [u8]) -> usize {
    let count = CONSOLE.lock().read(buffer);
    if count != 0 {
        match INPUT.get() {
            Some(channel) => channel.found_work(),
            None => executor::found_work(),
        }
    }
    count
}

/// Waits until all text is read, but not for ever. False if another vCPU ends the domain.
pub(crate) fn drain() -> bool {
    if let Some(mut console) = lock_to_end() {
        console.end();
        console.wait_until_read();
    }
    may_write()
}

/// Locks the console for the last lines, which the calling vCPU writes. `None` if another vCPU ends the
/// domain, or does not release the console.
fn lock_to_end() -> Option<Held> {
    if !ENDING.begin(vcpu::number()) {
        return None;
    }
    let mut deadline = Deadline::after(LOCK_TIMEOUT);
    CONSOLE.lock_while(|| may_write() && !deadline.passed())
}

/// Call this before the calling vCPU stops for good, perhaps in the middle of a write.
pub(crate) fn abandon() {
    CONSOLE.abandon();
}

/// Number of bytes that were dropped because no one read them in time.
pub fn lost() -> u64 {
    CONSOLE.lock().lost()
}

/// A writer for crash reports. It reaches every sink that someone may read, even if the console is locked.
pub(crate) struct CrashConsole;

impl Write for CrashConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match lock_after_crash() {
            Some(mut console) => {
                console.end();
                let mut sinks = ConsoleSinks::all();
                // Each byte to an emulated port exits to another process: use it only where no one reads the
                // ring.
                sinks.set(ConsoleSinks::SERIAL, !console.used.contains(ConsoleSinks::PV));
                console.write(text.as_bytes(), sinks);
            }
            None => write_without_console(text.as_bytes()),
        }
        Ok(())
    }
}

/// Whether there are I/O ports.
static PORTS: AtomicBool = AtomicBool::new(false);
/// Whether a crashed vCPU has waited for the console in vain.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Locks the console for a crash report. `None` if a running vCPU holds it and does not release it.
fn lock_after_crash() -> Option<Held> {
    ENDING.take_over(vcpu::number());
    let mut deadline = Deadline::after(LOCK_TIMEOUT);
    let held = CONSOLE.lock_after_crash(|| !GIVEN_UP.load(Ordering::Relaxed) && !deadline.passed());
    GIVEN_UP.store(held.is_none(), Ordering::Relaxed);
    held
}

/// Writes to the sinks that have no state, without the lock.
fn write_without_console(text: &[u8]) {
    if PORTS.load(Ordering::Relaxed) {
        cpu::debug_port_write(text);
    }
    // Where there is no Xen this does nothing.
    let _ = xen::console::write_to_xen(&Hypervisor, text);
}

/// How often a non-maskable interrupt tries the lock: some milliseconds in all.
const MAX_TRIES: u32 = 1 << 16;

/// Prints from a non-maskable interrupt, which must not wait. False if the console is locked, perhaps by the
/// interrupted code. A virtio console gets nothing.
pub(crate) fn try_print(text: fmt::Arguments<'_>) -> bool {
    let mut tries = MAX_TRIES;
    let console = CONSOLE.lock_while(|| {
        tries -= 1;
        tries != 0 && may_write()
    });
    let Some(mut console) = console.filter(|_| may_write()) else { return false };
    let phase = core::mem::replace(&mut console.phase, Phase::Running);
    let _ = Urgent(&mut console).write_fmt(text);
    console.phase = phase;
    let flusher = console.flusher.take();
    drop(console);
    flusher.into_iter().for_each(Waker::wake);
    true
}

/// Tries the lock, for code that must not wait.
struct Urgent<'a>(&'a mut Console);

impl Write for Urgent<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let used = self.0.used;
        self.0.write(text.as_bytes(), used - ConsoleSinks::VIRTIO);
        Ok(())
    }
}

/// Prints to the console, with a line end.
#[macro_export]
macro_rules! println {
    () => { $crate::console::write("\n") };
    ($($argument:tt)*) => { $crate::console::print_line(format_args!($($argument)*)) };
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Formats to the console.
pub fn print(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    line.flush();
}

/// Formats to the console, with a line end.
pub fn print_line(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    let _ = line.write_str("\n");
    line.flush();
}

/// Collects what `format_args!` writes piece by piece: one line is one notification.
struct Line {
    text: [u8; 128],
    used: usize,
}

impl Line {
    fn new() -> Self {
        Self { text: [0; 128], used: 0 }
    }

    fn flush(&mut self) {
        let text = self.text.get(..self.used).unwrap_or_default();
        // Only whole `str`s were copied in.
        write(core::str::from_utf8(text).unwrap_or_default());
        self.used = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.text.len() - self.used {
            self.flush();
        }
        match self.text.get_mut(self.used..self.used + text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                self.used += text.len();
            }
            None => write(text),
        }
        Ok(())
    }
}
