// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console: where text goes, and where it comes from.
//!
//! One of five ways is in use, the best that there is: the PV ring, Xen's own console (for the
//! initial domain, which has no ring), a serial port, the debug port 0xE9, the screen. A virtio console
//! is used beside the last three, or alone. A crash report goes to all of them.

use core::fmt::{self, Write};
use core::ops::DerefMut;

use embassy_time::{Duration, Timer};
use prism_arch::cpu;
use prism_arch::hypercall::Hypervisor;
use prism_boot::command_line::ConsoleSinks;
use prism_drivers::keyboard::Keyboard;
use prism_drivers::serial::Serial;
use prism_drivers::vga::Screen;
use prism_drivers::virtio_console::VirtioConsole;
use spin::{Mutex, Once};
use uart_16550::backend::PioBackend;
use xen::console::Ring;
use xen::event::Port;
use xen::sched;

use crate::devices::virtio;
use crate::event::{self, EventChannel};
use crate::ports::CpuPorts;
use crate::registers::MappedRegisters;
use crate::time::{self, Deadline};

/// How long a full ring, or a virtio console, may take nothing before output is dropped, in nanoseconds.
pub(crate) const PATIENCE: u64 = 5_000_000_000;
/// How long one wait for the other side may last, in nanoseconds.
const NAP: u64 = 10_000_000;

/// How often a port that does not tell is looked at for what was typed: as fast as anybody types.
const KEY: Duration = Duration::from_millis(20);

static CONSOLE: Mutex<Console> = Mutex::new(Console::nowhere());
/// The event that tells that something was typed into the ring.
static INPUT: Once<EventChannel> = Once::new();

/// Every way to put text out, and which of them are used.
pub(crate) struct Console {
    used: ConsoleSinks,
    available: ConsoleSinks,
    ring: Option<RingEnd>,
    serial: Option<Serial<PioBackend>>,
    screen: Option<Screen<MappedRegisters, CpuPorts>>,
    keyboard: Option<Keyboard<CpuPorts>>,
    virtio: Option<VirtioConsole<virtio::Port>>,
    beginning: Beginning,
    /// Bytes that nobody took.
    lost: u64,
}

/// The first text that was written, as much as there is room for: a sink that is found late gets it
/// too.
#[derive(Clone, Copy)]
struct Beginning {
    text: [u8; 2048],
    length: usize,
}

/// The PV ring and the event channel that belongs to it.
pub(crate) struct RingEnd {
    ring: Ring,
    /// Raised after either side moved something.
    port: Port,
    /// Nobody reads: don't wait any more, until somebody does.
    stuck: bool,
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
            beginning: Beginning { text: [0; 2048], length: 0 },
            lost: 0,
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
        for (line, end) in lines(text) {
            for part in [line, if end { b"\r\n".as_slice() } else { b"" }] {
                if sinks.contains(ConsoleSinks::PV) {
                    self.lost += self.ring.as_mut().map_or(0, |ring| ring.put(part));
                }
                if sinks.contains(ConsoleSinks::SERIAL) {
                    self.lost +=
                        self.serial.as_mut().map_or(0, |port| (part.len() - port.write(part)) as u64);
                }
                if sinks.contains(ConsoleSinks::VIRTIO) {
                    self.lost += self.virtio.as_mut().map_or(0, |console| console.write(part));
                }
            }
        }
        if sinks.contains(ConsoleSinks::PV)
            && let Some(ring) = &self.ring
        {
            ring.notify();
        }
        if sinks.contains(ConsoleSinks::VIRTIO)
            && let Some(console) = &mut self.virtio
        {
            console.flush();
            if let Some(trouble) = console.news() {
                self.write(trouble.line().as_bytes(), sinks - ConsoleSinks::VIRTIO);
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.used.contains(ConsoleSinks::PV)
            && let Some(ring) = &mut self.ring
        {
            return ring.take(buffer);
        }
        let mut count = self.serial.as_mut().map_or(0, |port| port.read(buffer));
        if count == 0 && self.used.contains(ConsoleSinks::VIRTIO) {
            count = self.virtio.as_mut().map_or(0, |console| console.read(buffer));
        }
        if count == 0 && self.used.contains(ConsoleSinks::VGA) {
            count = self.keyboard.as_mut().map_or(0, |keyboard| keyboard.read(buffer));
        }
        count
    }
}

impl Beginning {
    fn add(&mut self, text: &[u8]) {
        let room = self.text.get_mut(self.length..).unwrap_or_default();
        self.length += room.len().min(text.len());
        room.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

impl RingEnd {
    /// The ring and its event channel.
    pub(crate) fn new(ring: Ring, port: Port) -> Self {
        Self { ring, port, stuck: false }
    }

    /// Writes `bytes`, waiting for room, but not for ever; returns how many were dropped.
    fn put(&mut self, mut bytes: &[u8]) -> u64 {
        let mut deadline = Deadline::after(PATIENCE);
        while !bytes.is_empty() {
            match self.ring.write(bytes) {
                Ok(0) if self.stuck || deadline.passed() => {
                    self.stuck = true;
                    return bytes.len() as u64;
                }
                Ok(0) => {
                    self.notify();
                    self.nap();
                }
                Ok(taken) => {
                    self.stuck = false;
                    bytes = bytes.get(taken..).unwrap_or_default();
                    deadline = Deadline::after(PATIENCE);
                }
                // The backend lies: its console is lost to us, the others are not.
                Err(_) => return bytes.len() as u64,
            }
        }
        0
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let taken = self.ring.read(buffer).unwrap_or(0);
        if taken != 0 {
            self.notify();
        }
        taken
    }

    /// Waits until all has been read, but not for ever.
    fn drain(&mut self) {
        let mut deadline = Deadline::after(PATIENCE);
        let mut before = u32::MAX;
        while let Ok(unread @ 1..) = self.ring.unread() {
            if unread < before {
                deadline = Deadline::after(PATIENCE);
            }
            before = unread;
            if deadline.passed() {
                return;
            }
            self.nap();
        }
    }

    fn notify(&self) {
        let _ = xen::event::send(&Hypervisor, self.port);
    }

    /// Gives the other side some time.
    fn nap(&self) {
        // What is pending and not masked would end the sleep at once, again and again.
        event::take_all();
        let slept = event::take_one(self.port)
            || time::xen_deadline(NAP)
                .is_some_and(|deadline| sched::poll(&Hypervisor, self.port.0, deadline).is_ok());
        if !slept && sched::yield_now(&Hypervisor).is_err() {
            cpu::relax();
        }
    }
}

/// The lines of `text`, each with whether a line end follows.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| match line.split_last() {
        Some((b'\n', line)) => (line, true),
        _ => (line, false),
    })
}

/// What can be used from the first instruction on: Xen's own console, or the debug port.
pub(crate) fn begin(ports: bool) {
    let mut console = CONSOLE.lock();
    console.available = if ports { ConsoleSinks::DEBUG } else { ConsoleSinks::XEN };
    console.used = console.available;
}

/// Adds the PV ring.
pub(crate) fn add_ring(ring: RingEnd) {
    let mut console = CONSOLE.lock();
    console.ring = Some(ring);
    console.available |= ConsoleSinks::PV;
}

/// Has the ring's event end waits for input from now on.
pub(crate) fn use_events() {
    let port = CONSOLE.lock().ring.as_ref().map(|ring| ring.port);
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
        None => Timer::after(KEY).await,
    }
}

/// Adds Xen's own console.
pub(crate) fn add_xen() {
    CONSOLE.lock().available |= ConsoleSinks::XEN;
}

/// Adds the first serial port, and says whether there is one.
pub(crate) fn add_serial() -> bool {
    let mut console = CONSOLE.lock();
    console.serial = Serial::new(cpu::com1());
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
    console.virtio = Some(VirtioConsole::new(port));
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
    let beginning = console.beginning;
    console.write(beginning.text(), new);
}

/// Writes text to the sinks in use.
pub fn write(text: &str) {
    let mut console = CONSOLE.lock();
    let used = console.used;
    console.beginning.add(text.as_bytes());
    console.write(text.as_bytes(), used);
}

/// Takes what has been typed, up to the size of `buffer`, and returns how much that was.
pub(crate) fn read(buffer: &mut [u8]) -> usize {
    let count = CONSOLE.lock().read(buffer);
    if let Some(channel) = INPUT.get().filter(|_| count != 0) {
        channel.found_work();
    }
    count
}

/// Waits until the other side has read everything, but not for ever.
pub(crate) fn drain() {
    let Some(mut console) = CONSOLE.try_lock() else { return };
    if console.used.contains(ConsoleSinks::PV)
        && let Some(ring) = &mut console.ring
    {
        ring.drain();
    }
    if let Some(console) = &mut console.virtio {
        console.drain();
    }
}

/// Bytes that were dropped because nobody read them.
pub fn lost() -> u64 {
    CONSOLE.lock().lost
}

/// How often a crash looks whether another vCPU is done with the console.
const PATIENCE_OF_CRASHES: u32 = 1 << 20;

/// A writer that reaches every sink that somebody may read, even if the console is in use: for
/// crashes.
pub(crate) struct Everywhere;

impl Write for Everywhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut looks = PATIENCE_OF_CRASHES;
        while CONSOLE.is_locked() && looks > 0 {
            looks -= 1;
            cpu::relax();
        }
        if CONSOLE.is_locked() {
            // SAFETY: whoever holds the lock is this vCPU, which has crashed and will not go on, or
            // another one that waits for the other side, and has had its time.
            unsafe { CONSOLE.force_unlock() };
        }
        let mut console = CONSOLE.lock();
        let mut sinks = ConsoleSinks::all();
        // Each byte to an emulated port is a trip to another process: only where nobody else reads.
        sinks.set(ConsoleSinks::SERIAL, !console.used.contains(ConsoleSinks::PV));
        console.write(text.as_bytes(), sinks);
        Ok(())
    }
}

/// How long a full ring may keep somebody who must not wait, in nanoseconds.
const URGENT: u64 = 100_000_000;

/// Prints to the sinks in use from where no lock may be waited for: in a non-maskable interrupt. False
/// if the console is in use, perhaps by what was interrupted. What finds no room in time is dropped; a
/// virtio console gets nothing.
pub(crate) fn try_print(text: fmt::Arguments<'_>) -> bool {
    let mut looks = PATIENCE_OF_CRASHES;
    while CONSOLE.is_locked() && looks > 0 {
        looks -= 1;
        cpu::relax();
    }
    let Some(console) = CONSOLE.try_lock() else { return false };
    let mut urgent = Urgent { console, deadline: Deadline::after(URGENT) };
    let _ = urgent.write_fmt(text);
    urgent.notify();
    true
}

/// The console, for those who must not wait: neither for locks nor, for long, for the other side.
struct Urgent<C> {
    console: C,
    deadline: Deadline,
}

impl<C: DerefMut<Target = Console>> Urgent<C> {
    fn notify(&self) {
        if let Some(ring) = &self.console.ring {
            ring.notify();
        }
    }

    /// Writes `bytes` to the ring; looks at the clock only if it is full.
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.console.ring.as_mut().and_then(|ring| ring.ring.write(bytes).ok());
            match taken {
                Some(0) if !self.deadline.passed() => {
                    self.notify();
                    let _ = sched::yield_now(&Hypervisor);
                }
                Some(taken @ 1..) => bytes = bytes.get(taken..).unwrap_or_default(),
                Some(0) | None => return self.console.lost += bytes.len() as u64,
            }
        }
    }
}

impl<C: DerefMut<Target = Console>> Write for Urgent<C> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let used = self.console.used;
        self.console.write(text.as_bytes(), used - ConsoleSinks::PV - ConsoleSinks::VIRTIO);
        if used.contains(ConsoleSinks::PV) {
            for (line, end) in lines(text.as_bytes()) {
                self.put(line);
                self.put(if end { b"\r\n" } else { b"" });
            }
        }
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
