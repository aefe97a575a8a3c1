// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::atomic::Ordering;

use xen::fake::Call;
use xen::xenbus::State;
use xen_sys::grant_table::GNTTABOP_copy;
use xen_sys::io::blkif::*;

use super::frontend::{Front, Host, a_while, bytes, content, direct, indirect, request, yield_now};

const OKAY: i16 = BLKIF_RSP_OKAY;

#[test]
fn what_is_on_the_disk_is_read_and_what_was_written_is_there() {
    let host = Host::new();
    host.serve_one(async |front| {
        let pages = front.pages(&[0; 2 * 4096]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 16, &pages).await, OKAY);
        assert_eq!(bytes(&pages), content(1 << 20)[16 * 512..][..8192]);
        let written = front.pages(&[0x5a; 8192]);
        assert_eq!(front.transfer(BLKIF_OP_WRITE, 24, &written).await, OKAY);
        assert_eq!(front.transfer(BLKIF_OP_READ, 20, &pages).await, OKAY);
        let mut expected = content(1 << 20)[20 * 512..][..8192].to_vec();
        expected[4 * 512..].fill(0x5a);
        assert_eq!(bytes(&pages), expected);
    });
}

#[test]
fn segments_are_parts_of_pages_one_behind_the_other() {
    let host = Host::new();
    host.serve_one(async |front| {
        let pages = front.pages(&[0xee; 3 * 4096]);
        let [a, b, c] = [0, 1, 2].map(|index: usize| pages[index].reference().number());
        let read = request(BLKIF_OP_READ, 1, &[(a, 6, 7), (b, 0, 7), (c, 3, 3), (a, 0, 0)]);
        assert_eq!(front.ask(read).await, OKAY);
        let disk = &content(1 << 20)[512..];
        let got = bytes(&pages);
        assert_eq!(got[6 * 512..8 * 512], disk[..1024]);
        assert_eq!(got[4096..8192], disk[1024..5120]);
        assert_eq!(got[8192 + 1536..][..512], disk[5120..][..512]);
        assert_eq!(got[..512], disk[5632..][..512]);
        assert!(got[512..6 * 512].iter().all(|byte| *byte == 0xee), "nothing else is written");
        let write = request(BLKIF_OP_WRITE, 100, &[(a, 6, 7), (b, 0, 7), (c, 3, 3), (a, 0, 0)]);
        assert_eq!(front.ask(write).await, OKAY);
        let again = front.pages(&[0; 4096]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 104, &again).await, OKAY);
        assert_eq!(bytes(&again), disk[2048..][..4096]);
    });
}

#[test]
fn indirect_requests_move_up_to_64_pages() {
    let host = Host::new();
    host.serve_one(async |front| {
        let list = front.pages(&[0]).remove(0);
        let data = content(64 * 4096).iter().map(|byte| byte ^ 0xff).collect::<Vec<_>>();
        let pages = front.pages(&data);
        for operation in [BLKIF_OP_WRITE, BLKIF_OP_READ] {
            let id = front.id();
            front.push(blkif_request_indirect { id, ..indirect(operation, 512, &list, &pages) });
            assert_eq!(front.response(id).await, (operation, OKAY));
        }
        assert_eq!(bytes(&pages), data);
    });
}

#[test]
fn many_indirect_requests_are_served_at_once() {
    let host = Host::new();
    host.serve_one(async |front| {
        let ids: Vec<_> = (0..32_u64)
            .map(|index| {
                let list = front.pages(&[0]).remove(0);
                let id = front.id();
                let pages = front.pages(&[index as u8 + 1; 4096]);
                front.push(blkif_request_indirect {
                    id,
                    ..indirect(BLKIF_OP_WRITE, index * 8, &list, &pages)
                });
                id
            })
            .collect();
        for id in ids {
            assert_eq!(front.response(id).await, (BLKIF_OP_WRITE, OKAY));
        }
        let pages = front.pages(&[0; 8 * 4096]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 0, &pages).await, OKAY);
        assert!(bytes(&pages).chunks(4096).enumerate().all(|(index, page)| page == [index as u8 + 1; 4096]));
    });
}

#[test]
fn flushes_and_discards_reach_the_disk_and_a_flush_with_data_is_durable() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve_one(async |front| {
        assert_eq!(host.key("feature-discard").as_deref(), Some("1"));
        assert_eq!(front.ask(request(BLKIF_OP_FLUSH_DISKCACHE, 0, &[])).await, OKAY);
        let page = front.pages(&[1]);
        assert_eq!(front.transfer(BLKIF_OP_FLUSH_DISKCACHE, 0, &page).await, OKAY);
        let id = front.id();
        front.push(blkif_request_discard {
            operation: BLKIF_OP_DISCARD,
            id,
            sector_number: 8,
            nr_sectors: 8,
            ..Default::default()
        });
        assert_eq!(front.response(id).await, (BLKIF_OP_DISCARD, OKAY));
    });
    assert_eq!(*host.gate.log.lock().unwrap(), ["flush", "flush", "write", "flush", "discard"]);
}

#[test]
fn a_full_ring_of_writes_costs_one_hypercall_and_few_events() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve_one(async |front| {
        a_while().await;
        let copies = || host.platform.xen().count(Call { number: 20, command: GNTTABOP_copy });
        let (before, events) = (copies(), front.far.events());
        let ids: Vec<_> = (0..32_u64)
            .map(|index| {
                let (id, pages) = (front.id(), front.pages(&[index as u8 + 1; 4096]));
                front.push(blkif_request { id, ..direct(BLKIF_OP_WRITE, index * 8, &pages) });
                id
            })
            .collect();
        for id in ids {
            assert_eq!(front.response(id).await.1, OKAY);
        }
        assert_eq!(copies() - before, 1);
        assert!(front.far.events() - events <= 2);
    });
}

#[test]
fn rings_of_several_pages_hold_more_requests() {
    let host = Host::new();
    host.serve(async {
        host.until(State::InitWait).await;
        assert_eq!(host.key("max-ring-page-order").as_deref(), Some("2"));
        let front = Front::make(&host, "", 4);
        host.be(State::Initialised);
        host.until(State::Connected).await;
        assert_eq!(front.ring.capacity(), 128);
        let page = front.pages(&[0]);
        let ids: Vec<_> = (0..128).map(|_| front.id()).collect();
        for id in &ids {
            front.push(blkif_request { id: *id, ..direct(BLKIF_OP_READ, 0, &page) });
        }
        for id in ids {
            assert_eq!(front.response(id).await.1, OKAY);
        }
        host.be(State::Closed);
        host.detach();
    });
}

#[test]
fn several_queues_are_served() {
    let host = Host { queues: 4, ..Host::new() };
    host.serve(async {
        host.until(State::InitWait).await;
        assert_eq!(host.key("multi-queue-max-queues").as_deref(), Some("4"));
        let fronts: Vec<_> = (0..3).map(|queue| Front::make(&host, &format!("queue-{queue}/"), 1)).collect();
        host.front("multi-queue-num-queues", "3");
        host.be(State::Initialised);
        host.until(State::Connected).await;
        for front in fronts {
            let pages = front.pages(&[0; 4096]);
            assert_eq!(front.transfer(BLKIF_OP_READ, 8, &pages).await, OKAY);
            assert_eq!(bytes(&pages), content(1 << 20)[4096..8192]);
        }
        host.be(State::Closed);
        host.detach();
    });
}

#[test]
fn a_disk_with_large_sectors_is_served_by_whole_ones() {
    let host = Host::new();
    host.set("params", "large");
    host.serve_one(async |front| {
        assert_eq!(host.key("sector-size").as_deref(), Some("4096"));
        assert_eq!(host.key("sectors").as_deref(), Some("2048"), "of 512 bytes");
        let pages = front.pages(&[0; 4096]);
        let page = pages[0].reference().number();
        assert_eq!(front.transfer(BLKIF_OP_READ, 8, &pages).await, OKAY);
        assert_eq!(front.transfer(BLKIF_OP_READ, 9, &pages).await, BLKIF_RSP_ERROR);
        assert_eq!(front.ask(request(BLKIF_OP_READ, 8, &[(page, 0, 3)])).await, BLKIF_RSP_ERROR);
        assert_eq!(front.ask(request(BLKIF_OP_READ, 8, &[(page, 0, 3), (page, 4, 7)])).await, OKAY);
    });
}

#[test]
fn a_partition_ends_where_it_ends() {
    let host = Host::new();
    host.set("params", "ram1");
    host.serve_one(async |front| {
        assert_eq!(host.key("sectors").as_deref(), Some("16"));
        let pages = front.pages(&[0; 4096]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 8, &pages).await, OKAY);
        assert_eq!(bytes(&pages), content(1 << 20)[8192..12288]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 9, &pages).await, BLKIF_RSP_ERROR);
    });
}

#[test]
fn a_disk_for_reading_only_is_not_written() {
    let host = Host::new();
    host.set("mode", "r");
    host.serve_one(async |front| {
        assert_eq!(host.key("info").as_deref(), Some("4"));
        let pages = front.pages(&[9; 4096]);
        for operation in [BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE] {
            assert_eq!(front.transfer(operation, 0, &pages).await, BLKIF_RSP_ERROR);
        }
        assert_eq!(front.transfer(BLKIF_OP_READ, 0, &pages).await, OKAY);
        assert_eq!(bytes(&pages), content(1 << 20)[..4096]);
    });
}

#[test]
fn discards_that_the_toolstack_forbids_are_not_done() {
    let host = Host::new();
    host.set("params", "gate");
    host.set("discard-enable", "0");
    host.serve_one(async |front| {
        assert_eq!(host.key("feature-discard").as_deref(), Some("0"));
        let id = front.id();
        front.push(blkif_request_discard {
            operation: BLKIF_OP_DISCARD,
            id,
            nr_sectors: 8,
            ..Default::default()
        });
        assert_eq!(front.response(id).await.1, BLKIF_RSP_EOPNOTSUPP);
    });
    assert!(host.gate.log.lock().unwrap().is_empty());
}

#[test]
fn a_frontend_that_asks_for_more_than_there_is_memory_for_waits_and_gets_it() {
    let host = Host { budget: prism_drivers::block::blkback::Budget::new(20), ..Host::new() };
    host.set("params", "gate");
    host.serve_one(async |front| {
        host.gate.shut.store(true, Ordering::Relaxed);
        let ids: Vec<_> = (0..32_u64)
            .map(|index| {
                let (id, pages) = (front.id(), front.pages(&[index as u8 + 1; 8 * 4096]));
                front.push(blkif_request { id, ..direct(BLKIF_OP_WRITE, index * 64, &pages) });
                id
            })
            .collect();
        a_while().await;
        assert_eq!(host.gate.begun.load(Ordering::Relaxed), 2);
        host.gate.shut.store(false, Ordering::Relaxed);
        for id in ids {
            assert_eq!(front.response(id).await.1, OKAY);
        }
    });
    assert_eq!(host.budget.free(), 20);
}

#[test]
fn a_request_that_there_are_no_pages_for_waits_until_there_are_some() {
    let host = Host::new();
    host.serve_one(async |front| {
        let pages = front.pages(&[0; 3 * 4096]);
        host.platform.limit_pages(2);
        let id = front.id();
        front.push(blkif_request { id, ..direct(BLKIF_OP_READ, 0, &pages) });
        a_while().await;
        front.take();
        assert!(front.responses.borrow().is_empty());
        host.platform.limit_pages(1000);
        assert_eq!(front.response(id).await.1, OKAY);
        assert_eq!(bytes(&pages), content(1 << 20)[..3 * 4096]);
    });
}

#[test]
fn requests_are_answered_as_the_disk_does_them() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve_one(async |front| {
        host.gate.shut.store(true, Ordering::Relaxed);
        let (id, page) = (front.id(), front.pages(&[1]));
        front.push(blkif_request { id, ..direct(BLKIF_OP_WRITE, 0, &page) });
        a_while().await;
        // One that makes no sense does not wait for others.
        assert_eq!(front.transfer(BLKIF_OP_READ, 1 << 40, &page).await, BLKIF_RSP_ERROR);
        front.take();
        assert!(front.responses.borrow().is_empty());
        host.gate.shut.store(false, Ordering::Relaxed);
        assert_eq!(front.response(id).await.1, OKAY);
        yield_now().await;
    });
}

#[test]
fn a_disk_that_grows_or_shrinks_is_told_of_while_it_is_used() {
    let host = Host::new();
    host.set("params", "gate");
    host.gate.hidden.store(4096, Ordering::Relaxed);
    host.serve_one(async |front| {
        let page = front.pages(&[0]);
        assert_eq!(host.key("sectors").as_deref(), Some("2040"));
        assert_eq!(front.transfer(BLKIF_OP_READ, 2040, &page).await, BLKIF_RSP_ERROR);
        for (hidden, sectors) in [(0, "2048"), (8192, "2032")] {
            host.gate.hidden.store(hidden, Ordering::Relaxed);
            assert_eq!(front.transfer(BLKIF_OP_READ, 0, &page).await, OKAY);
            a_while().await;
            assert_eq!(
                (host.key("sectors").as_deref(), host.key("state").as_deref()),
                (Some(sectors), Some("4"))
            );
            let last = front.transfer(BLKIF_OP_READ, 2040, &page).await;
            assert_eq!(last, if hidden == 0 { OKAY } else { BLKIF_RSP_ERROR });
        }
    });
}

#[test]
fn a_frontend_that_waits_for_events_gets_all_it_asked_for_with_little_memory_and_much() {
    for pages in [64, 100, 930, 4000] {
        let host = Host { budget: prism_drivers::block::blkback::Budget::new(pages), ..Host::new() };
        host.serve_one(async |front| {
            let data = content(1 << 20).iter().map(|byte| byte ^ 0x55).collect::<Vec<_>>();
            let lists: Vec<_> = (0..32).map(|_| front.pages(&[0]).remove(0)).collect();
            for round in 0..3 {
                let mut written = Vec::new();
                for (index, list) in lists.iter().enumerate() {
                    let pages = front.pages(&data[index * 32768..][..32768]);
                    let (id, sector) = (front.id(), index as u64 * 64);
                    // In pieces of 1 KiB, as a file system with small blocks makes them.
                    let mut write = indirect(BLKIF_OP_WRITE, sector, list, &pages);
                    for piece in 0..32_usize {
                        let [a, b, c, d] = pages[piece / 4].reference().number().to_ne_bytes();
                        let first = (piece % 4 * 2) as u8;
                        list.write(piece * 8, &[a, b, c, d, first, first + 1, 0, 0]);
                    }
                    write.nr_segments = 32;
                    front.push(blkif_request_indirect { id, ..write });
                    written.push(id);
                }
                for id in written {
                    assert_eq!(front.response_by_event(id).await, (BLKIF_OP_WRITE, OKAY));
                }
                let id = front.id();
                front.push(blkif_request { id, ..request(BLKIF_OP_FLUSH_DISKCACHE, 0, &[]) });
                assert_eq!(front.response_by_event(id).await.1, OKAY);
                for start in (0..256).step_by(32) {
                    let (id, pages) = (front.id(), front.pages(&[0; 32 * 4096]));
                    let read = indirect(BLKIF_OP_READ, start * 8, &lists[0], &pages);
                    front.push(blkif_request_indirect { id, ..read });
                    assert_eq!(
                        front.response_by_event(id).await,
                        (BLKIF_OP_READ, OKAY),
                        "{pages_left}",
                        pages_left = host.budget.free()
                    );
                    assert!(
                        bytes(&pages) == data[start as usize * 4096..][..32 * 4096],
                        "round {round}, {start}"
                    );
                }
            }
        });
    }
}
