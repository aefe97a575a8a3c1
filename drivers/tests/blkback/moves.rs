// SPDX-License-Identifier: MIT OR Apache-2.0
//! A frontend that does anything, by a seed, and what it must not bring about: a panic, a leak, a wait
//! without end, or harm to the next one.
//!
//! `MOVES=100000 SEED=7 cargo test -p prism-drivers --release --test blkback anything` plays more of them.

use std::env;
use std::sync::atomic::Ordering;

use xen::fake::PeerPage;
use xen::xenbus::State;
use xen_sys::io::blkif::*;

use super::frontend::{Front, Host, a_while, direct, indirect, request, yield_now};
use super::random::Random;

/// Moves of each frontend.
const MOVES: usize = 60;

struct Player<'h> {
    host: &'h Host,
    random: Random,
    front: Front,
    pages: Vec<PeerPage>,
}

impl Player<'_> {
    /// A page of its own, or none at all.
    fn page(&mut self) -> u32 {
        let index = self.random.below(self.pages.len() as u64 + 2) as usize;
        self.pages.get(index).map_or(index as u32 * 1000, |page| page.reference().number())
    }

    fn segments(&mut self) -> Vec<(u32, u8, u8)> {
        let count = self.random.below(12);
        let mut segment = |_| {
            let (first, last) = (self.random.below(9) as u8, self.random.below(9) as u8);
            let whole = self.random.once_in(2);
            (self.page(), if whole { 0 } else { first }, if whole { 7 } else { last })
        };
        (0..count).map(&mut segment).collect()
    }

    fn push(&mut self) {
        let (id, sector) = (self.random.below(8), self.random.number());
        match self.random.below(8) {
            0 => {
                let operation = self.random.next() as u8;
                let segments = self.segments();
                self.front.push(blkif_request { id, ..request(operation, sector, &segments) });
            }
            1 => self.front.push(blkif_request_discard {
                operation: BLKIF_OP_DISCARD,
                flag: self.random.below(3) as u8,
                id,
                sector_number: sector,
                nr_sectors: self.random.number(),
                ..Default::default()
            }),
            2 | 3 => {
                let operation = self.random.below(4) as u8;
                let list = self.random.below(self.pages.len() as u64) as usize;
                let mut request = indirect(operation, sector, &self.pages[list], &self.pages);
                request.indirect_grefs[0] =
                    if self.random.once_in(4) { self.page() } else { request.indirect_grefs[0] };
                request.nr_segments = self.random.below(70) as u16;
                self.front.push(blkif_request_indirect { id, ..request });
            }
            4 => {
                let mut entry = [0_u8; 112];
                entry.fill_with(|| self.random.next() as u8);
                self.front.push(entry);
            }
            _ => {
                let operation = self.random.below(4) as u8;
                let segments = self.segments();
                self.front.push(blkif_request { id, ..request(operation, sector, &segments) });
            }
        }
    }

    async fn play(&mut self) {
        for _ in 0..MOVES {
            match self.random.below(24) {
                0 => drop(self.front.ring.publish(self.random.number() as u32)),
                1 => self.front.ring.listen(self.random.number() as u32),
                2 => self.front.ring.forge_responses(self.random.number() as u32),
                3 => {
                    let index = self.random.below(self.pages.len() as u64) as usize;
                    if self.front.peer.withdraw(self.pages[index].reference()) {
                        self.pages[index] = self.front.pages(&[self.random.next() as u8]).remove(0);
                    }
                }
                4 => {
                    let index = self.front.ring.requests().wrapping_sub(self.random.below(40) as u32);
                    let bytes = [self.random.next() as u8; 112];
                    self.front.ring.request(index, bytes);
                }
                5 => {
                    let page = self.random.below(self.pages.len() as u64) as usize;
                    let (at, byte) = (self.random.below(4096) as usize, self.random.next() as u8);
                    self.pages[page].write(at, &[byte]);
                }
                6 if self.random.once_in(4) => {
                    let state = self.random.below(9).to_string();
                    self.host.front("state", state);
                }
                7 => {
                    let keys = [
                        "ring-ref",
                        "event-channel",
                        "ring-page-order",
                        "protocol",
                        "multi-queue-num-queues",
                        "feature-persistent",
                    ];
                    let key = keys[self.random.below(6) as usize];
                    let value = self.random.number().to_string();
                    self.host.front(key, value);
                }
                8 => self.host.gate.shut.store(self.random.once_in(2), Ordering::Relaxed),
                9 => self.host.platform.limit_pages(self.random.below(200)),
                10 => self.front.far.notify(),
                11..=14 => self.front.take(),
                15 => a_while().await,
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
fn a_frontend_that_does_anything_harms_neither_us_nor_the_next_one() {
    let rounds = given("MOVES").unwrap_or(3000) as usize / MOVES;
    let first = given("SEED").unwrap_or(1);
    for seed in first..first + rounds as u64 {
        let host = Host::new();
        host.set("params", "gate");
        host.serve(async {
            host.until(State::InitWait).await;
            host.front("feature-persistent", (seed % 2).to_string());
            let pages = if seed % 3 == 0 { 4 } else { 1 };
            let front = Front::make(&host, "", pages);
            host.be(State::Initialised);
            host.until(State::Connected).await;
            let pages = front.pages(&[seed as u8; 6 * 4096]);
            let random =
                Random { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, high: 1 << 33, low: 2100 };
            let mut player = Player { host: &host, random, front, pages };
            player.play().await;
            // Now it goes, somehow, and an honest one comes.
            host.gate.shut.store(false, Ordering::Relaxed);
            host.platform.limit_pages(u64::MAX);
            host.be(State::Closed);
            a_while().await;
            while host.key("state").is_none_or(|state| state != "6" && state != "2") {
                yield_now().await;
            }
            for key in ["ring-page-order", "protocol", "multi-queue-num-queues"] {
                host.xenstored.remove(&format!("{}/{key}", super::frontend::FRONTEND));
            }
            let honest = Front::connect(&host).await;
            let page = honest.pages(&[0x77; 4096]);
            assert_eq!(honest.transfer(BLKIF_OP_WRITE, 8, &page).await, BLKIF_RSP_OKAY, "seed {seed}");
            let again = honest.pages(&[0; 4096]);
            assert_eq!(honest.transfer(BLKIF_OP_READ, 8, &again).await, BLKIF_RSP_OKAY, "seed {seed}");
            assert_eq!(again[0].read::<4096>(0), [0x77; 4096]);
            let id = honest.id();
            honest.push(blkif_request { id, ..direct(BLKIF_OP_READ, 8, &again) });
            host.be(State::Closed);
            host.detach();
        });
    }
}
