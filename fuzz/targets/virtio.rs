// SPDX-License-Identifier: MIT OR Apache-2.0

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use arbitrary::Arbitrary;
use prism_drivers::block::{Buffer, Disk as _, Queue, QueuedDisk, Request, Submission};
use prism_drivers::console::output::Sink;
use prism_drivers::net::MAX_FRAME;
use prism_drivers::net::NetDevice;
use prism_drivers::virtio::console::{ConsolePort, VirtioConsole};
use prism_drivers::virtio::disk::Disk;
use prism_drivers::virtio::network::{self, Nic};
use prism_drivers::virtio::sim::{Chain, Config, SimDevice, SimMemory};
use prism_drivers::virtio::{Registers, queue};
use prism_fuzz::fuzz_target;
use xen::fake::FakePage;

/// Of the disk, whatever it says of itself.
const SECTORS: u64 = 256;

#[derive(Arbitrary, Debug)]
struct Machine {
    kind: Kind,
    is_legacy: bool,
    on_pci: bool,
    features: u64,
    allowed: [u16; 2],
    /// What its configuration begins with.
    configuration: [u8; 26],
    is_stuck: bool,
    refuses: bool,
    is_unsteady: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Disk,
    Nic,
    Console,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The driver is asked for something: to read, write, flush; to send.
    Submit { operation: u8, sector: u8, length: u16 },
    /// The driver goes on.
    Run,
    /// The device takes what it was given.
    Take { queue: bool },
    /// It does with the last thing that it took what it should.
    Answer { queue: bool, byte: u8 },
    /// It claims to have used this.
    ProtocolViolation { queue: bool, id: u32, written: u32 },
    /// It claims to have used one of the first few.
    Guess { queue: bool, id: u8, written: u16 },
    /// It claims to have used so many more.
    Show { queue: bool, more: i16 },
    /// It says whether it wants to be told.
    Want { queue: bool, wanted: bool },
    /// It changes its configuration.
    Configure { offset: u8, value: u8 },
    /// It is reset, or asks for that.
    Reset(u8),
}

fuzz_target!(|input: (Machine, Vec<Step>)| {
    let (machine, steps) = input;
    let on_pci = machine.on_pci && !machine.is_legacy;
    let [first, second] = machine.allowed.map(u32::from);
    let device = SimDevice::new(Config {
        is_legacy: machine.is_legacy,
        features: machine.features,
        allowed: [first, second, 0],
        configuration: machine.configuration.to_vec(),
        is_stuck: machine.is_stuck,
        refuses: machine.refuses,
        is_unsteady: machine.is_unsteady,
    });
    let registers = if on_pci { device.on_pci() } else { device.in_memory() };
    match machine.kind {
        Kind::Disk => drive_disk(&device, registers, &steps),
        Kind::Nic => drive_card(&device, registers, &steps),
        Kind::Console => drive_console(&device, registers, &steps),
    }
});

/// A little patience.
fn moments() -> impl FnMut() -> bool {
    let mut left = 9;
    move || {
        left -= 1;
        left > 0
    }
}

fn queues(device: &SimDevice) -> [Option<SimMemory>; 2] {
    [0; 2].map(|_| Some(device.memory(queue::MEMORY)))
}

/// The device's own steps.
struct Other<'a> {
    device: &'a SimDevice,
    taken: [Option<Chain>; 2],
}

impl Other<'_> {
    fn play(&mut self, step: &Step) {
        match *step {
            Step::Take { queue } => {
                let taken = self.device.take(queue.into());
                if taken.is_some() {
                    self.taken[usize::from(queue)] = taken;
                }
            }
            Step::Answer { queue, byte } => {
                let Some(chain) = self.taken[usize::from(queue)].take() else { return };
                let room = chain.room();
                let bytes = vec![byte; (room as usize).saturating_sub(1)];
                let written = self.device.write(&chain, &bytes);
                self.device.write_last(&chain, byte & 3);
                self.device.give(queue.into(), chain.head.into(), (written + 1).min(room));
            }
            Step::ProtocolViolation { queue, id, written } => self.device.give(queue.into(), id, written),
            Step::Guess { queue, id, written } => {
                self.device.give(queue.into(), id.into(), written.into());
            }
            Step::Show { queue, more } => self.device.show(queue.into(), more),
            Step::Want { queue, wanted } => self.device.want_notifications(queue.into(), wanted),
            Step::Configure { offset, value } => self.device.configure(usize::from(offset) % 26, value),
            Step::Reset(status) => self.device.set_status(status),
            Step::Submit { .. } | Step::Run => {}
        }
    }
}

fn is_done(submission: &mut Submission<'_, FakePage>) -> bool {
    submission.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Every request ends, at the latest when the disk has been silent for too long.
fn drive_disk(device: &SimDevice, registers: Registers, steps: &[Step]) {
    let memory = Some(device.memory(queue::MEMORY));
    let Ok(disk) = Disk::open(registers, memory, device.clone(), &mut moments()) else { return };
    let geometry = disk.geometry();
    assert!(geometry.bytes.is_multiple_of(geometry.sector_size.into()));
    assert!([512, 1024, 2048, 4096].contains(&geometry.sector_size));
    let requests = Arc::new(Queue::new());
    let served = QueuedDisk::new("vda".into(), 0, geometry, Arc::clone(&requests));
    let mut server = pin!(disk.serve(&requests, |_| {}));
    let mut run = || {
        let poll = server.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    };
    let mut submitted = Vec::new();
    // The driver's waits give the device its turns: it plays the steps between two runs of the driver.
    let chunks: Vec<&[Step]> = steps.split_inclusive(|step| matches!(step, Step::Run)).collect();
    for chunk in chunks {
        for step in chunk {
            if let Step::Submit { operation, sector, length } = *step {
                submitted.push(served.submit(request(device, operation, sector, length)));
            }
        }
        play_when_waited_for(device, chunk);
        run();
    }
    let left = submitted.iter_mut().filter_map(|submission| (!is_done(submission)).then_some(())).count();
    assert_eq!(left, 0, "requests are left alone");
}

/// Has the device play one step at each wait.
fn play_when_waited_for(device: &SimDevice, steps: &[Step]) {
    let mut taken = [None, None];
    let mut steps: Vec<Step> = steps.iter().map(copy).collect();
    steps.reverse();
    device.on_wait(move |device| {
        let Some(step) = steps.pop() else { return };
        let mut other = Other { device, taken: core::mem::take(&mut taken) };
        other.play(&step);
        taken = other.taken;
    });
}

fn copy(step: &Step) -> Step {
    match *step {
        Step::Submit { operation, sector, length } => Step::Submit { operation, sector, length },
        Step::Run => Step::Run,
        Step::Take { .. } => Step::Take { queue: false },
        Step::Answer { byte, .. } => Step::Answer { queue: false, byte },
        Step::ProtocolViolation { id, written, .. } => Step::ProtocolViolation { queue: false, id, written },
        Step::Guess { id, written, .. } => Step::Guess { queue: false, id, written },
        Step::Show { more, .. } => Step::Show { queue: false, more },
        Step::Want { wanted, .. } => Step::Want { queue: false, wanted },
        Step::Configure { offset, value } => Step::Configure { offset, value },
        Step::Reset(status) => Step::Reset(status),
    }
}

fn request(device: &SimDevice, operation: u8, sector: u8, length: u16) -> Request<FakePage> {
    let offset = u64::from(sector) % SECTORS * 512;
    let length = usize::from(length).next_multiple_of(512);
    let buffer = || Buffer::new(length, || Some(device.page())).expect("there is memory");
    match operation % 3 {
        0 => Request::Read { offset, buffer: buffer() },
        1 => Request::Write { offset, buffer: buffer() },
        _ => Request::Flush,
    }
}

/// Frames have possible lengths, and a NIC that broke the protocol is not believed again.
fn drive_card(device: &SimDevice, registers: Registers, steps: &[Step]) {
    let buffers = Some(device.memory(network::MEMORY));
    let Ok((mut nic, properties)) = Nic::open(registers, queues(device), buffers, &mut moments()) else {
        return;
    };
    assert!(properties.mac[0] & 1 == 0 && properties.mac != [0; 6]);
    let mut other = Other { device, taken: [None, None] };
    let mut buffer = vec![0; MAX_FRAME];
    let mut is_broken = false;
    for step in steps {
        match *step {
            Step::Submit { length, .. } => {
                let mut frame = vec![1; usize::from(length).max(14)];
                if let Ok(true) = nic.can_send(frame.len()) {
                    nic.send(&mut frame);
                }
                nic.publish(0);
            }
            Step::Run => {
                let _ = nic.needs_poll(true);
                match nic.receive(&mut buffer) {
                    Ok(None) => assert!(!is_broken),
                    Ok(Some(length)) => assert!(!is_broken && (length == 0 || (14..=1514).contains(&length))),
                    Err(_) => is_broken = true,
                }
            }
            ref step => other.play(step),
        }
    }
}

/// What is typed is no longer than asked for, and a console that broke the protocol takes nothing.
fn drive_console(device: &SimDevice, registers: Registers, steps: &[Step]) {
    let Ok(port) = ConsolePort::open(registers, queues(device), &mut moments()) else { return };
    let mut console = VirtioConsole::new(port);
    let mut other = Other { device, taken: [None, None] };
    let mut is_broken = false;
    for step in steps {
        match *step {
            Step::Submit { length, .. } => {
                let text = vec![b'x'; length.into()];
                let taken = console.take(&text);
                assert!(taken.is_none_or(|taken| taken <= text.len() && !is_broken));
                console.notify();
            }
            Step::Run => {
                let mut typed = [0; 100];
                assert!(console.read(&mut typed) <= typed.len());
                let _ = console.is_read();
            }
            ref step => other.play(step),
        }
        is_broken |= console.news().is_some();
    }
}
