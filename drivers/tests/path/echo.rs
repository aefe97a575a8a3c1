// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::{Arc, Mutex};

use crate::host::World;
use crate::network::{Network, Router};

const ICMP: u8 = 1;

/// The sum of all words of `bytes`, as IP's checksums are made.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum = words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// An echo request of so many bytes.
fn request(length: usize) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    message.extend((0..length).map(|index| (index % 251) as u8));
    let checksum = !sum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Sends us `message` in packets of no more than 1500 bytes.
fn send(network: &Mutex<Network>, message: &[u8], number: u16) {
    const MORE: u16 = 0x2000;
    let count = message.chunks(1480).count();
    for (index, part) in message.chunks(1480).enumerate() {
        let place = (index * 185) as u16 | if index + 1 < count { MORE } else { 0 };
        let mut header = vec![0x45, 0];
        header.extend((20 + part.len() as u16).to_be_bytes());
        header.extend(number.to_be_bytes());
        header.extend(place.to_be_bytes());
        header.extend([64, ICMP, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1]);
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        network.lock().unwrap().send([&addresses[..], &header, part].concat());
    }
}

#[test]
fn what_was_left_of_a_longer_answer_is_not_in_the_checksum_of_a_shorter_one() {
    let network = Network::new(1500, Router::Tells);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&answers);
    network.lock().unwrap().loses = Box::new(move |frame| {
        let is_answer = frame[12..14] == [8, 0] && frame[23] == ICMP;
        if is_answer {
            heard.lock().unwrap().push(frame.to_vec());
        }
        is_answer
    });
    let mut world = World::new(Arc::clone(&network));
    // The answer to the first one is lost to looking for the peer.
    for (number, length) in [56, 30_000, 20_000, 65_507, 1473, 30_000, 1472, 0].into_iter().enumerate() {
        answers.lock().unwrap().clear();
        let message = request(length);
        send(&network, &message, number as u16);
        (0..10).for_each(|_| world.step());
        let frames = answers.lock().unwrap();
        if number == 0 {
            continue;
        }
        assert_eq!(frames.len(), message.len().div_ceil(1480), "{length}: each fragment, once");
        let answer: Vec<u8> = frames.iter().flat_map(|frame| &frame[34..]).copied().collect();
        assert_eq!((answer[0], sum(&answer)), (0, 0xffff), "{length}: its checksum");
        assert!(answer[4..] == message[4..], "{length}: what was asked");
    }
}
