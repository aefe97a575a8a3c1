// SPDX-License-Identifier: MIT OR Apache-2.0
//! A frontend that does anything, by a seed, and what it must not bring about: a panic, a leak, a wait
//! without end, or harm to the next one, or to a neighbor on the bridge.
//!
//! `MOVES=100000 SEED=7 cargo test -p prism-drivers --release --test netback anything` plays more of them.

use std::env;

use prism_drivers::net::GsoInfo;
use prism_drivers::net::bridge::{Checksum, Packet, Port, Source};
use xen::grant::Reference;
use xen::xenbus::State;
use xen_sys::io::netif::*;

use super::frontend::{
    ALL, FRONTEND, Front, GUEST, Host, OTHER, a_while, arrives, deliver, frame, of_extra, request, tcp,
    yield_now,
};
use super::random::Random;

/// Moves of each frontend.
const MOVES: usize = 60;

const NEIGHBOR: [u8; 6] = [0, 0x16, 0x3e, 0, 0, 3];

struct Player<'h> {
    host: &'h Host,
    network: &'h Port<'h>,
    random: Random,
    front: Front,
    /// Pages with frames, granted for writing.
    pages: Vec<Reference>,
}

impl Player<'_> {
    /// A page of its own, or none at all.
    fn page(&mut self) -> u32 {
        let index = self.random.below(self.pages.len() as u64 + 1) as usize;
        self.pages.get(index).map_or(index as u32 * 1000, |page| page.number())
    }

    /// Makes a packet of some entries, most of them as they should be.
    fn push(&mut self) {
        let count = if self.random.once_in(3) { 1 + self.random.below(21) } else { 1 };
        let mut entries = Vec::new();
        for index in 0..count {
            let is_first = index == 0;
            let more = if index + 1 < count || self.random.once_in(40) { NETTXF_more_data } else { 0 };
            let wild = if self.random.once_in(8) { self.random.next() as u16 & 0xf } else { 0 };
            let has_extra = is_first && self.random.once_in(3);
            let flags = more | wild | if has_extra { NETTXF_extra_info } else { 0 };
            let size = if is_first { 60 + count * 40 } else { 40 };
            let size = if self.random.once_in(10) { self.random.number() } else { size };
            let offset = if self.random.once_in(10) { self.random.number() } else { 0 };
            entries.push(request(
                self.page(),
                offset as u16,
                flags,
                self.random.below(8) as u16,
                size as u16,
            ));
            if has_extra {
                let kind = if self.random.once_in(3) { self.random.below(6) as u8 } else { 1 };
                let u = [self.random.number() as u16, self.random.below(4) as u16, 0];
                let flags = u8::from(self.random.once_in(6));
                entries.push(of_extra(netif_extra_info { r#type: kind, flags, u }));
            }
        }
        self.front.push(&entries);
    }

    fn deliver(&mut self) {
        let length = 14 + self.random.below(1500) as usize;
        if self.random.once_in(3) {
            let info = GsoInfo { size: 500 + self.random.below(900) as u16, kind: 1 };
            let bytes = tcp(GUEST, OTHER, self.random.below(60_000) as usize + 1);
            self.network.send(Packet::new(bytes, Checksum::Blank, Some(info)).unwrap(), 0);
        } else {
            deliver(self.network, length);
        }
    }

    async fn play(&mut self) {
        for _ in 0..MOVES {
            match self.random.below(24) {
                0 => drop(self.front.transmit.publish(self.random.number() as u32)),
                1 => drop(self.front.receive.publish(self.random.number() as u32)),
                2 => self.front.transmit.listen(self.random.number() as u32),
                3 => self.front.receive.forge_responses(self.random.number() as u32),
                4 => {
                    let index = self.random.below(self.pages.len() as u64) as usize;
                    if self.front.peer.withdraw(self.pages[index]) {
                        self.pages[index] = self.front.peer.offer_to_write(&frame(OTHER, GUEST, 4096));
                    }
                }
                5 => {
                    let index = self.front.transmit.requests().wrapping_sub(self.random.below(40) as u32);
                    let bytes = [self.random.next() as u8; 12];
                    self.front.transmit.request(index, bytes);
                }
                6 if self.random.once_in(4) => {
                    let state = self.random.below(9).to_string();
                    self.host.front("state", state);
                }
                7 => {
                    let keys = [
                        "tx-ring-ref",
                        "rx-ring-ref",
                        "event-channel-tx",
                        "feature-sg",
                        "feature-gso-tcpv4",
                        "multi-queue-num-queues",
                    ];
                    let key = keys[self.random.below(6) as usize];
                    let value = self.random.number().to_string();
                    self.host.front(key, value);
                }
                8 => self.host.platform.limit_pages(self.random.below(200)),
                9 => self.front.far.notify(),
                10 | 11 => drop(self.front.responses()),
                12 => a_while().await,
                13..=15 => {
                    let index = self.front.receive.requests();
                    let gref = self.page();
                    self.front
                        .receive
                        .request(index, netif_rx_request { id: self.random.next() as u16, pad: 0, gref });
                    if self.front.receive.publish(index.wrapping_add(1)) {
                        self.front.far_receive.notify();
                    }
                }
                16..=18 => self.deliver(),
                _ => self.push(),
            }
            if self.random.once_in(3) {
                yield_now().await;
            }
        }
    }
}

/// The number in a variable of the environment.
fn given(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn a_frontend_that_does_anything_harms_neither_us_nor_its_neighbors_nor_the_next_one() {
    let rounds = given("MOVES").unwrap_or(3000) as usize / MOVES;
    let first = given("SEED").unwrap_or(1);
    for seed in first..first + rounds as u64 {
        let host = Host::new();
        let network = host.network();
        let neighbor = host.bridge.attach(Source::Only(NEIGHBOR), 1500).unwrap();
        host.serve(async {
            host.until(State::InitWait).await;
            let front = Front::make(&host, ALL);
            host.be(State::Connected);
            host.until(State::Connected).await;
            let pages = [(); 6].map(|()| front.peer.offer_to_write(&frame(OTHER, GUEST, 4096))).into();
            let random =
                Random { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, high: 1 << 17, low: 4200 };
            let mut player = Player { host: &host, network: &network, random, front, pages };
            player.play().await;
            // Its neighbors talk as if nothing had happened, and hear of it by its own address only.
            while let Some(packet) = network.take().or_else(|| neighbor.take()) {
                assert_eq!(packet.bytes()[6..12], GUEST, "seed {seed}");
            }
            neighbor.send(Packet::new(frame([9; 6], NEIGHBOR, 99), Checksum::Right, None).unwrap(), 0);
            assert_eq!(network.take().unwrap().bytes().len(), 99);
            // Now it goes, somehow, and an honest one comes.
            host.platform.limit_pages(u64::MAX);
            host.be(State::Closed);
            a_while().await;
            while host.key("state").is_none_or(|state| state != "6" && state != "2") {
                yield_now().await;
            }
            for key in ["feature-sg", "feature-gso-tcpv4", "multi-queue-num-queues"] {
                host.xenstored.remove(&format!("{FRONTEND}/{key}"));
            }
            while network.take().is_some() {}
            let honest = Front::connect(&host, ALL).await;
            honest.offer(4);
            let bytes = frame(OTHER, GUEST, 1000);
            honest.send(&bytes, 300, 0, None);
            assert_eq!(honest.answers(4).await.len(), 4, "seed {seed}");
            assert_eq!(arrives(&network).await.bytes(), bytes);
            assert_eq!(deliver(&network, 70), honest.receive().await.bytes, "seed {seed}");
            host.be(State::Closed);
            host.detach();
        });
    }
}
