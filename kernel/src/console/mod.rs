// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console: where text goes, and where it comes from.
//!
//! One of five ways is in use, the best that there is: the PV ring, Xen's own console (for the
//! initial domain, which has no ring), a serial port, the debug port 0xE9, the screen. A virtio console
//! is used beside the last three, or alone. A crash report goes to all of them.
//!
//! Nobody waits for a console that is slow (`prism_drivers::console::output`): what it does not take at once
//! is handed over by a task. Only before tasks run, and at the end, is it waited for, for a few seconds in
//! all.
//!
//! At the end one vCPU has the last word (`prism_drivers::console::last_word`): what others write then is
//! dropped.

mod lock;
pub(crate) mod logger;
pub(crate) mod nmi;
pub(crate) mod panic;
mod ring;

use core::fmt::{self, Write};
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};

use embassy_time::{Duration, Timer};
use prism_arch::hypercall::Hypervisor;
use prism_arch::{cpu, vcpu};
use prism_boot::command_line::ConsoleSinks;
use prism_drivers::console::keyboard::Keyboard;
use prism_drivers::console::last_word::Ending;
use prism_drivers::console::output::{Budget, Output, Sink};
use prism_drivers::console::serial::Serial;
use prism_drivers::console::vga::Screen;
use prism_drivers::virtio::console::VirtioConsole;
use spin::Once;
use uart_16550::backend::PioBackend;

use crate::devices::virtio;
use crate::hypervisor::event::EventChannel;
use crate::memory;
use crate::memory::registers::MappedRegisters;
use crate::ports::CpuPorts;
use crate::time::{self, Deadline};

use lock::{Held, Lock};
pub(crate) use ring::RingEnd;

/// How long consoles are waited for at boot, in all, and twice as long at the end, in nanoseconds.
const FLUSH_TIMEOUT: u64 = 5_000_000_000;
/// How long the vCPU that has the last word waits until it has the console, in nanoseconds: longer than any
/// other one waits while it has it.
const LOCK_TIMEOUT: u64 = 2 * FLUSH_TIMEOUT;
/// Text that is kept for a console that is slow, in bytes; in a small domain less.
const BACKLOG: usize = 64 * 1024;
const SMALL_BACKLOG: usize = 16 * 1024;
/// What a small domain has, in bytes.
const SMALL: u64 = 64 << 20;
/// How long a console that is full is left alone: first, and if it takes nothing at last.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a port that does not tell is looked at for what was typed: as fast as anybody types.
const KEY_POLL: Duration = Duration::from_millis(20);

static CONSOLE: Lock = Lock::new(Console::nowhere());
/// Which vCPU has the last word.
static ENDING: Ending = Ending::new();
/// The event that tells that something was typed into the ring.
static INPUT: Once<EventChannel> = Once::new();

/// Every way to put text out, and which of them are used.
pub(crate) struct Console {
    used: ConsoleSinks,
    available: ConsoleSinks,
    ring: Option<Output<RingEnd>>,
    serial: Option<Output<Serial<PioBackend>>>,
    screen: Option<Screen<MappedRegisters, CpuPorts>>,
    keyboard: Option<Keyboard<CpuPorts>>,
    virtio: Option<Output<VirtioConsole<virtio::Port>>>,
    early_log: EarlyLog,
    phase: Phase,
    /// Time to wait for consoles, while that is done.
    budget: Budget,
    /// The task that hands over what was kept.
    flusher: Option<Waker>,
}

/// Whether consoles are waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Yes: no task runs that could do it later.
    Boot,
    /// No.
    Running,
    /// Yes: there is no later. This vCPU has the last word.
    Ending(u32),
}

/// The first text that was written, as much as there is room for: a sink that is found late gets it
/// too.
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
            phase: Phase::Boot,
            budget: Budget::new(FLUSH_TIMEOUT),
            flusher: None,
        }
    }

    /// Writes to the sinks in use, line ends as terminals want them where a terminal listens.
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

    /// Has text kept from now on, as a task hands it over.
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

    /// Has consoles waited for from now on, and makes way for the last words of the vCPU that calls.
    fn end(&mut self) {
        let ending = Phase::Ending(vcpu::number());
        if self.phase == ending {
            return;
        }
        self.phase = ending;
        self.budget = Budget::new(FLUSH_TIMEOUT);
        let mut budget = Budget::new(FLUSH_TIMEOUT);
        if let Some(ring) = &mut self.ring {
            ring.make_way(&mut budget, now);
        }
        if let Some(serial) = &mut self.serial {
            serial.make_way(&mut budget, now);
        }
        if let Some(virtio) = &mut self.virtio {
            virtio.make_way(&mut budget, now);
        }
    }

    /// Waits until everything is read.
    fn settle(&mut self) {
        if let Some(ring) = self.ring.as_mut().filter(|_| self.used.contains(ConsoleSinks::PV)) {
            ring.settle(&mut self.budget, now);
        }
        if let Some(serial) = &mut self.serial {
            serial.settle(&mut self.budget, now);
        }
        if let Some(virtio) = &mut self.virtio {
            virtio.settle(&mut self.budget, now);
        }
    }

    /// Hands over what was kept, as far as that is taken; says how many bytes were.
    fn hand_over(&mut self) -> usize {
        let ring = self.ring.as_mut().map_or(0, hand_over);
        let serial = self.serial.as_mut().map_or(0, hand_over);
        ring + serial + self.virtio.as_mut().map_or(0, hand_over)
    }

    /// Bytes that were kept.
    fn waiting(&self) -> usize {
        let ring = self.ring.as_ref().map_or(0, Output::waiting);
        let serial = self.serial.as_ref().map_or(0, Output::waiting);
        ring + serial + self.virtio.as_ref().map_or(0, Output::waiting)
    }

    /// Bytes that were dropped.
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

/// Writes to a console, line ends as terminals want them.
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
    output.sink().tell();
}

/// The time, for who waits for a console. It waits no more when another vCPU has the last word.
fn now() -> Option<u64> {
    may_write().then(time::nanoseconds)
}

/// Whether the vCPU that calls may write: no other one has the last word.
fn may_write() -> bool {
    ENDING.lets_write(vcpu::number())
}

fn hand_over<S: Sink>(output: &mut Output<S>) -> usize {
    let taken = output.drain();
    if taken != 0 {
        output.sink().tell();
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

/// What can be used from the first instruction on: Xen's own console, or the debug port.
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

/// Has the ring's event end waits for input from now on.
pub(crate) fn use_events() {
    let port = CONSOLE.lock().ring.as_mut().map(|ring| ring.sink().port);
    if let Some(channel) = port.and_then(|port| EventChannel::of_toolstack(port).ok()) {
        INPUT.call_once(|| channel);
    }
}

/// Waits until there may be something to read. To be called when there is nothing.
pub(crate) async fn wait_for_input() {
    match INPUT.get() {
        Some(channel) => {
            channel.found_nothing();
            channel.wait().await;
        }
        // Nothing tells that a serial port, a keyboard or a virtio console has something: look again later.
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
pub(crate) fn add_virtio(port: virtio::Port) {
    let mut console = CONSOLE.lock();
    console.virtio = Some(Output::new(VirtioConsole::new(port)));
    console.available |= ConsoleSinks::VIRTIO;
}

/// Whether a sink is there.
pub(crate) fn has(sink: ConsoleSinks) -> bool {
    CONSOLE.lock().available.contains(sink)
}

/// Uses the `wanted` sinks as far as they are there, else all there are. One that was not used before gets
/// what was written before.
pub(crate) fn choose(wanted: ConsoleSinks) {
    let mut console = CONSOLE.lock();
    let usable = wanted & console.available;
    let used = if usable.is_empty() { console.available } else { usable };
    let new = used - console.used;
    console.used = used;
    let early_log = console.early_log;
    console.write(early_log.text(), new);
}

/// Writes text to the sinks in use. What a slow one does not take at once is kept, up to 64 KiB (16 KiB in a
/// small domain), and handed over while tasks wait; what is more is dropped, and a line tells how much that
/// was. While another vCPU writes the last words of the domain, nothing is written.
pub fn write(text: &str) {
    let Some(mut console) = CONSOLE.lock_while(may_write).filter(|_| may_write()) else { return };
    let used = console.used;
    console.early_log.add(text.as_bytes());
    console.write(text.as_bytes(), used);
    let flusher = if console.waiting() != 0 { console.flusher.take() } else { None };
    drop(console);
    flusher.into_iter().for_each(Waker::wake);
}

/// Waits until all that was written has been handed over: for who writes much and wants none of it lost. If
/// nobody reads the console that takes for ever; [`with_timeout`](crate::task::with_timeout) sets a limit.
pub async fn flush() {
    while CONSOLE.lock().waiting() != 0 {
        Timer::after(PAUSE).await;
    }
}

/// Has text kept for slow consoles from now on, for [`flush_kept`] to hand over.
pub(crate) fn run() {
    let backlog = if memory::usage().total < SMALL { SMALL_BACKLOG } else { BACKLOG };
    CONSOLE.lock().run(backlog);
}

/// Hands over what was kept, for ever. A console that takes nothing is looked at ever more seldom.
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

/// Has consoles waited for from now on, as what follows are the last words: what was kept is handed over, as
/// far as it is taken within some seconds. What other vCPUs write is dropped.
pub(crate) fn end() {
    if let Some(mut console) = lock_to_end() {
        console.end();
    }
}

/// Takes what has been typed, up to the size of `buffer`, and returns how much that was.
pub(crate) fn read(buffer: &mut [u8]) -> usize {
    let count = CONSOLE.lock().read(buffer);
    if let Some(channel) = INPUT.get().filter(|_| count != 0) {
        channel.found_work();
    }
    count
}

/// Waits until the other side has read everything, but not for ever. False if another vCPU has the last word:
/// it ends the domain.
pub(crate) fn drain() -> bool {
    if let Some(mut console) = lock_to_end() {
        console.end();
        console.settle();
    }
    may_write()
}

/// The console, for the vCPU that calls to write its last words; not if another one writes them, or does not
/// give the console up.
fn lock_to_end() -> Option<Held> {
    if !ENDING.begin(vcpu::number()) {
        return None;
    }
    let mut deadline = Deadline::after(LOCK_TIMEOUT);
    CONSOLE.lock_while(|| may_write() && !deadline.passed())
}

/// To be told before the vCPU that calls stops wherever it is, perhaps in the middle of a text.
pub(crate) fn abandon() {
    CONSOLE.abandon();
}

/// Bytes that were dropped because nobody read them in time.
pub fn lost() -> u64 {
    CONSOLE.lock().lost()
}

/// A writer that reaches every sink that somebody may read, even if the console is in use: for
/// crashes.
pub(crate) struct CrashConsole;

impl Write for CrashConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match lock_after_crash() {
            Some(mut console) => {
                console.end();
                let mut sinks = ConsoleSinks::all();
                // Each byte to an emulated port is a trip to another process: only where nobody else reads.
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
/// Whether a vCPU that crashed has waited for the console in vain.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// The console, for the report of a crash; not if a vCPU that goes on has it, and does not give it up.
fn lock_after_crash() -> Option<Held> {
    ENDING.take_over(vcpu::number());
    let mut deadline = Deadline::after(LOCK_TIMEOUT);
    let held = CONSOLE.lock_after_crash(|| !GIVEN_UP.load(Ordering::Relaxed) && !deadline.passed());
    GIVEN_UP.store(held.is_none(), Ordering::Relaxed);
    held
}

/// Writes to where nothing has to be remembered: better than to nowhere.
fn write_without_console(text: &[u8]) {
    if PORTS.load(Ordering::Relaxed) {
        cpu::debug_port_write(text);
    }
    // Where there is no Xen this does nothing.
    let _ = xen::console::write_to_xen(&Hypervisor, text);
}

/// How often a non-maskable interrupt looks whether another vCPU is done with the console: some milliseconds.
const LOOKS: u32 = 1 << 16;

/// Prints to the sinks in use from where nothing may be waited for: in a non-maskable interrupt. False
/// if the console is in use, perhaps by what was interrupted. A virtio console gets nothing.
pub(crate) fn try_print(text: fmt::Arguments<'_>) -> bool {
    let mut looks = LOOKS;
    let console = CONSOLE.lock_while(|| {
        looks -= 1;
        looks != 0 && may_write()
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

/// The console, for those who must not wait.
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
