// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a backend says of the disk, sense or nonsense.

use prism_drivers::block::blkfront::{Error, is_empty_drive};
use prism_drivers::sim::{Clock, SimPlatform};
use xen::xenbus::{Device, Ended, Failure, State};

use crate::backend::{BACKEND, FRONTEND, Guest};

#[test]
fn the_disk_is_as_the_backend_describes_it() {
    let keys = [("sector-size", "4096"), ("info", "5"), ("feature-discard", "1"), ("mode", "w")];
    let guest = Guest::new(1 << 20, &keys);
    guest.serve(async |disk| {
        let geometry = disk.geometry();
        assert_eq!((disk.name(), geometry.bytes, geometry.sector_size), ("xvda", 1 << 20, 4096));
        assert!(geometry.read_only && geometry.optical && geometry.removable && geometry.discards);
    });
}

#[test]
fn a_disk_of_no_sectors_is_empty() {
    let guest = Guest::new(0, &[]);
    guest.serve(async |disk| assert_eq!(disk.geometry().bytes, 0));
}

#[test]
fn a_disk_of_more_than_2_tib_is_read_at_its_end() {
    let end = 4 << 40;
    let guest = Guest::new(4096, &[("sectors", "8589934592")]);
    guest.first_sector.set((end - 4096) / 512);
    guest.serve(async |disk| {
        assert_eq!(disk.geometry().bytes, end);
        disk.write(end - 4096, guest.buffer(4096, 7)).await.unwrap();
        let read = disk.read(end - 4096, guest.buffer(4096, 0)).await.unwrap();
        assert!(read.pieces().flatten().all(|&byte| byte == 7));
        assert!(disk.read(end - 512, guest.buffer(4096, 0)).await.is_err());
    });
    assert_eq!(*guest.disk.borrow(), vec![7; 4096]);
}

#[test]
fn half_a_sector_at_the_end_is_not_used() {
    let guest = Guest::new(4096 + 512, &[("sector-size", "4096")]);
    guest.serve(async |disk| assert_eq!(disk.geometry().bytes, 4096));
}

#[test]
fn invalid_features_are_ignored() {
    let keys = [
        ("max-ring-page-order", "4294967296"),
        ("feature-persistent", "yes"),
        ("feature-max-indirect-segments", "-1"),
        ("feature-flush-cache", ""),
        ("info", "0x4"),
    ];
    let guest = Guest::new(1 << 20, &keys);
    guest.serve(async |disk| {
        assert!(!disk.geometry().read_only);
        disk.read(0, guest.buffer(1 << 20, 0)).await.unwrap();
    });
    assert_eq!(guest.read("ring-page-order"), None);
}

#[test]
fn a_drive_without_a_medium_is_told_from_disks() {
    for (kind, medium, is_empty) in [
        (Some("cdrom"), None, true),
        (Some("cdrom"), Some(""), true),
        (Some("cdrom"), Some("aio:"), true),
        (Some("cdrom"), Some("aio:/a.iso"), false),
        (Some("cdrom"), Some("/a.iso"), false),
        (Some("disk"), Some(""), false),
        (None, None, false),
    ] {
        let guest = Guest::new(4096, &[]);
        kind.inspect(|kind| guest.xenstored.write(&format!("{FRONTEND}/device-type"), kind));
        medium.inspect(|medium| guest.xenstored.write(&format!("{BACKEND}/params"), medium));
        let asked = async {
            let device = Device::open(&guest.client, FRONTEND).await.unwrap();
            is_empty_drive(&device).await
        };
        assert_eq!(guest.xenstored.run(&guest.client, asked), is_empty, "{kind:?}, {medium:?}");
    }
}

#[test]
fn an_absurd_ring_order_is_cut_down() {
    let guest = Guest::new(1 << 20, &[("max-ring-page-order", "31")]);
    guest.serve(async |disk| drop(disk.read(0, guest.buffer(4096, 0)).await.unwrap()));
    assert_eq!(guest.read("ring-page-order").as_deref(), Some("2"));
}

#[test]
fn an_impossible_disk_is_not_used() {
    for (key, value) in [
        ("sector-size", "1"),
        ("sector-size", "0"),
        ("sector-size", "513"),
        ("sector-size", "8192"),
        ("sectors", "18446744073709551615"),
        ("sectors", "many"),
    ] {
        let guest = Guest::new(1 << 20, &[(key, value)]);
        let refuses = async {
            for _ in 0..8 {
                guest.until(State::Initialising).await;
                for (key, value) in guest.keys.borrow().iter() {
                    guest.xenstored.write(&format!("{}/{key}", crate::backend::BACKEND), value);
                }
                guest.be(State::InitWait);
                guest.until(State::Initialised).await;
                guest.be(State::Connected);
                guest.until(State::Closed).await;
                guest.be(State::Closed);
            }
        };
        let (bytes, ended) = guest.play(refuses, async |disk| disk.geometry().bytes);
        assert_eq!(bytes, 0);
        if let Some(ended) = ended {
            assert!(matches!(
                ended,
                Ended::Failed(Failure::Driver(Error::SectorSize(_) | Error::Xenstore(_)))
            ));
        }
    }
}

#[test]
fn a_backend_that_vanishes_at_any_step_is_done_without() {
    for step in [State::Unknown, State::Initialising, State::InitWait, State::Connected] {
        let guest = Guest::with(SimPlatform::new(Clock::ExpiresAtOnce), 1 << 20, &[]);
        let script = async {
            if step != State::Unknown {
                guest.until(State::Initialising).await;
                guest.be(step);
            }
            if step == State::InitWait {
                guest.until(State::Initialised).await;
            }
            if step == State::Connected {
                guest.until(State::Connected).await;
            }
            guest.xenstored.remove(crate::backend::BACKEND);
        };
        let (bytes, _) = guest.play(script, async |disk| disk.geometry().bytes);
        assert_eq!(bytes, 0, "{step:?}");
    }
}
