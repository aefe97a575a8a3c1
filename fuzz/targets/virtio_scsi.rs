// SPDX-License-Identifier: MIT OR Apache-2.0

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use prism_drivers::block::{Buffer, Disk as _, Queue, QueuedDisk, Request};
use prism_drivers::virtio::queue;
use prism_drivers::virtio::scsi::{Controller, MAX_DISKS};
use prism_drivers::virtio::sim::{Chain, Config, SimDevice};
use prism_fuzz::fuzz_target;

/// The queue of requests.
const QUEUE: u16 = 2;
/// Bytes of a response with sense data.
const RESPONSE: usize = 108;

#[derive(Arbitrary, Debug)]
struct Machine {
    is_legacy: bool,
    on_pci: bool,
    features: u64,
    allowed: u16,
    /// What its configuration begins with, but for the sizes of requests if those are as usual.
    configuration: [u8; 36],
    has_usual_sizes: bool,
}

/// What becomes of a command.
#[derive(Arbitrary, Debug)]
enum Answer {
    /// It is carried out, and this comes back.
    Good { data: Vec<u8>, residual: u8 },
    /// It fails.
    Failed { status: u8, response: u8, sense: Vec<u8>, length: u32 },
    /// The controller claims to have used this.
    Used { id: u8, written: u16 },
    /// It claims to have used so many more.
    Show(i16),
    /// It is reset, or asks for that.
    Reset(u8),
    /// There is none.
    Nothing,
}

fuzz_target!(|input: (Machine, Vec<Answer>, Vec<(u8, u8, u16)>)| {
    let (machine, answers, requests) = input;
    let mut configuration = machine.configuration;
    if machine.has_usual_sizes {
        configuration[20..28].copy_from_slice(&[96, 0, 0, 0, 32, 0, 0, 0]);
    }
    let device = SimDevice::new(Config {
        is_legacy: machine.is_legacy,
        features: machine.features,
        allowed: [machine.allowed.into(); 3],
        configuration: configuration.to_vec(),
        is_stuck: false,
        refuses: false,
        is_unsteady: false,
    });
    let mut answers = answers.into_iter();
    device.on_wait(move |device| {
        while let Some(chain) = device.take(QUEUE) {
            match answers.next() {
                Some(answer) => play(device, &chain, &answer),
                // There is no such target.
                None => respond(device, &chain, 0, [0, 3], 0, &[], &[]),
            }
        }
    });
    let on_pci = machine.on_pci && !machine.is_legacy;
    let registers = if on_pci { device.on_pci() } else { device.in_memory() };
    drive(&device, registers, &requests);
});

/// Every disk is possible, and every request ends.
fn drive(device: &SimDevice, registers: prism_drivers::virtio::Registers, requests: &[(u8, u8, u16)]) {
    let memory = Some(device.memory(queue::MEMORY));
    let Ok(mut controller) = Controller::open(registers, memory, device.clone(), &mut || false) else {
        return;
    };
    let Ok(disks) = now(pin!(controller.disks(|_| {}))) else { return };
    assert!(disks.len() <= MAX_DISKS);
    for disk in &disks {
        let size = disk.geometry.sector_size;
        assert!([512, 1024, 2048, 4096].contains(&size) && disk.geometry.bytes.is_multiple_of(size.into()));
        assert!(disk.geometry.bytes != 0 && disk.address.target < 64 && disk.address.lun < 16384);
    }
    let queue = Arc::new(Queue::new());
    let served: Vec<_> = (0..)
        .zip(&disks)
        .map(|(number, disk)| QueuedDisk::new("sda".into(), number, disk.geometry, Arc::clone(&queue)))
        .collect();
    let mut server = pin!(controller.serve(&disks, &queue, |_, _| {}));
    for (operation, sector, length) in requests {
        let Some(disk) = served.get(usize::from(operation / 3) % served.len().max(1)) else { return };
        let size = u64::from(disk.geometry().sector_size);
        let length = usize::from(*length).next_multiple_of(size as usize);
        let buffer = || Buffer::new(length, || Some(device.page())).expect("there is memory");
        let offset = u64::from(*sector) * size;
        let submission = disk.submit(match operation % 3 {
            0 => Request::Read { offset, buffer: buffer() },
            1 => Request::Write { offset, buffer: buffer() },
            _ => Request::Flush,
        });
        assert!(server.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let _ = now(submission);
    }
}

fn now<T>(mut future: impl Future<Output = T> + Unpin) -> T {
    match pin!(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("somebody waits for ever"),
    }
}

fn play(device: &SimDevice, chain: &Chain, answer: &Answer) {
    match answer {
        Answer::Good { data, residual } => {
            respond(device, chain, (*residual).into(), [0, 0], 0, &[], data);
        }
        Answer::Failed { status, response, sense, length } => {
            respond(device, chain, 0, [*status, *response], *length, sense, &[]);
        }
        Answer::Used { id, written } => device.give(QUEUE, (*id).into(), (*written).into()),
        Answer::Show(more) => device.show(QUEUE, *more),
        Answer::Reset(status) => device.set_status(*status),
        Answer::Nothing => {}
    }
}

fn respond(
    device: &SimDevice,
    chain: &Chain,
    residual: u32,
    [status, response]: [u8; 2],
    sense_length: u32,
    sense: &[u8],
    data: &[u8],
) {
    let mut bytes = [0; RESPONSE];
    bytes[..4].copy_from_slice(&sense_length.to_le_bytes());
    bytes[4..8].copy_from_slice(&residual.to_le_bytes());
    (bytes[10], bytes[11]) = (status, response);
    bytes[12..].iter_mut().zip(sense).for_each(|(to, from)| *to = *from);
    let written = device.write(chain, &[&bytes[..], data].concat());
    device.give(QUEUE, chain.head.into(), written);
}
