// SPDX-License-Identifier: MIT OR Apache-2.0
use std::sync::atomic::Ordering;

use prism_drivers::sim::{Clock, SimPlatform};
use xen::fake::PeerPage;
use xen::xenbus::State;
use xen_sys::io::blkif::*;

use super::frontend::{BACKEND, FRONTEND, Front, Host, a_while, direct, yield_now};

#[test]
fn the_disk_is_described_before_it_is_connected_to() {
    let host = Host::new();
    host.serve_one(async |_| {
        let keys = ["sectors", "sector-size", "info", "feature-flush-cache", "feature-max-indirect-segments"];
        let values = keys.map(|key| host.key(key).unwrap());
        assert_eq!(values, ["2048", "512", "0", "1", "64"]);
        assert_eq!(host.key("feature-persistent").as_deref(), Some("1"));
    });
}

#[test]
fn a_cd_rom_is_one() {
    let host = Host::new();
    host.set("device-type", "cdrom");
    host.set("mode", "r");
    host.serve_one(async |_| assert_eq!(host.key("info").as_deref(), Some("7")));
}

#[test]
fn a_disk_that_is_not_there_is_told_of_and_offered_when_it_is_named_right() {
    for wrong in ["nothing", "", "\x1b[2J"] {
        let host = Host::new();
        host.set("params", wrong);
        host.serve(async {
            host.until(State::Closed).await;
            host.set("params", "ram");
            Front::connect(&host).await;
            host.detach();
            host.be(State::Closed);
        });
        let failures = host.failures.lock().unwrap();
        assert!(failures[0].contains("target="), "{failures:?}");
        assert!(!failures[0].contains('\x1b'));
    }
}

#[test]
fn a_frontend_that_leaves_without_its_answers_is_not_told_that_it_is_closed_before_the_disk_has_done_them() {
    let host = Host::new();
    host.set("params", "gate");
    host.serve(async {
        let front = Front::connect(&host).await;
        host.gate.shut.store(true, Ordering::Relaxed);
        let page = front.pages(&[1]);
        front.push(blkif_request { id: 1, ..direct(BLKIF_OP_WRITE, 0, &page) });
        a_while().await;
        host.be(State::Closed);
        a_while().await;
        assert_eq!(host.key("state").as_deref(), Some("4"));
        host.gate.shut.store(false, Ordering::Relaxed);
        host.until(State::Closed).await;
        host.detach();
    });
}

#[test]
fn a_frontend_is_served_until_it_has_closed_when_the_toolstack_detaches_it() {
    let host = Host::new();
    host.serve(async {
        let front = Front::connect(&host).await;
        host.detach();
        a_while().await;
        let page = front.pages(&[5; 4096]);
        assert_eq!(front.transfer(BLKIF_OP_WRITE, 0, &page).await, BLKIF_RSP_OKAY);
        host.be(State::Closing);
        a_while().await;
        assert_eq!(front.transfer(BLKIF_OP_FLUSH_DISKCACHE, 0, &[]).await, BLKIF_RSP_OKAY);
        host.be(State::Closed);
    });
}

#[test]
fn two_hundred_connections_leave_nothing_behind() {
    // Rests come to last ten seconds.
    let host = Host { platform: SimPlatform::new(Clock::ExpiresAtOnce), ..Host::new() };
    host.serve(async {
        for round in 0..200 {
            let front = Front::connect(&host).await;
            if round % 100 == 0 {
                let page = front.pages(&[0]);
                assert_eq!(front.transfer(BLKIF_OP_READ, 0, &page).await, BLKIF_RSP_OKAY);
            }
            host.be(if round % 2 == 0 { State::Closed } else { State::Initialising });
            if round % 2 == 0 {
                host.until(State::Closed).await;
            } else {
                host.until(State::InitWait).await;
            }
            assert!(front.ring.references().iter().all(|page| front.peer.withdraw(*page)));
        }
        host.detach();
    });
    assert!(host.failures.lock().unwrap().is_empty());
}

/// How a frontend goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Closes,
    Vanishes,
    IsDetached,
    /// With its domain: the toolstack does not wait for us.
    IsDestroyed,
}

#[test]
fn a_frontend_that_goes_at_any_moment_leaves_nothing_behind() {
    for way in [Way::Closes, Way::Vanishes, Way::IsDetached, Way::IsDestroyed] {
        for turns in (0..100).step_by(5) {
            let host = Host { platform: SimPlatform::new(Clock::ExpiresAtOnce), ..Host::new() };
            host.serve(async {
                host.until(State::InitWait).await;
                let front = Front::make(&host, "", 1);
                let page = front.pages(&[5; 4096]);
                front.push(blkif_request { id: 1, ..direct(BLKIF_OP_WRITE, 0, &page) });
                host.be(State::Initialised);
                for _ in 0..turns {
                    yield_now().await;
                }
                match way {
                    Way::Closes => host.be(State::Closed),
                    Way::Vanishes => host.xenstored.remove(FRONTEND),
                    Way::IsDetached => host.detach(),
                    Way::IsDestroyed => {
                        [FRONTEND, BACKEND].iter().for_each(|path| host.xenstored.remove(path))
                    }
                }
                let mut granted = front.ring.references();
                granted.extend(page.iter().map(PeerPage::reference));
                // As long as a frontend that does not let go may take.
                for _ in 0..2000 {
                    if granted.is_empty() {
                        break;
                    }
                    granted.retain(|page| !front.peer.withdraw(*page));
                    yield_now().await;
                }
                assert!(granted.is_empty(), "{way:?} after {turns} turns");
                if !matches!(way, Way::IsDestroyed) {
                    host.detach();
                }
            });
        }
    }
}
