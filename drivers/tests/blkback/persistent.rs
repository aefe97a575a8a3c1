// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frontends that keep their pages granted.

use prism_drivers::block::blkback::Budget;
use xen::fake::Call;
use xen_sys::grant_table::{GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref};
use xen_sys::io::blkif::*;

use super::frontend::{Front, Host, bytes, content, indirect};

const OKAY: i16 = BLKIF_RSP_OKAY;

impl Host {
    fn grant_calls(&self, command: u32) -> u64 {
        self.platform.xen().count(Call { number: 20, command })
    }
}

/// Serves a frontend that keeps pages granted.
fn serve_persistent<F: Future<Output = ()>>(host: &Host, script: impl FnOnce(Front) -> F) {
    host.front("feature-persistent", "1");
    host.serve_one(script);
}

#[test]
fn pages_that_stay_granted_are_mapped_once_and_copied_from_and_to_without_hypercalls() {
    let host = Host::new();
    serve_persistent(&host, async |front| {
        let before = [GNTTABOP_copy, GNTTABOP_map_grant_ref].map(|command| host.grant_calls(command));
        let pages = front.pages(&[0; 3 * 4096]);
        for round in 1..=3_u8 {
            pages.iter().for_each(|page| page.write(100, &[round; 1000]));
            let sector = u64::from(round) * 100;
            assert_eq!(front.transfer(BLKIF_OP_WRITE, sector, &pages).await, OKAY);
            let written = bytes(&pages);
            pages.iter().for_each(|page| page.write(0, &[0xff; 4096]));
            assert_eq!(front.transfer(BLKIF_OP_READ, sector, &pages).await, OKAY);
            assert!(bytes(&pages) == written, "{round}");
            assert!(written[4096 + 100..][..1000].iter().all(|byte| *byte == round));
        }
        let after = [GNTTABOP_copy, GNTTABOP_map_grant_ref].map(|command| host.grant_calls(command));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 3]);
        assert_eq!(host.budget.mapped(), 3);
    });
    // With that of the ring.
    assert_eq!(host.grant_calls(GNTTABOP_unmap_grant_ref), 4);
}

#[test]
fn pages_of_indirect_requests_stay_mapped_too() {
    let host = Host::new();
    serve_persistent(&host, async |front| {
        let list = front.pages(&[0]).remove(0);
        let data: Vec<u8> = content(64 * 4096).iter().map(|byte| byte ^ 0xff).collect();
        let pages = front.pages(&data);
        let mut mapped = Vec::new();
        for operation in [BLKIF_OP_WRITE, BLKIF_OP_READ, BLKIF_OP_WRITE, BLKIF_OP_READ] {
            let id = front.id();
            front.push(blkif_request_indirect { id, ..indirect(operation, 64, &list, &pages) });
            assert_eq!(front.response(id).await.1, OKAY);
            assert!(bytes(&pages) == data);
            if operation == BLKIF_OP_WRITE {
                pages.iter().for_each(|page| page.write(0, &[0xff; 4096]));
            }
            mapped.push(host.budget.mapped());
        }
        // With the list of segments; not all of them at once.
        assert_eq!((mapped.first(), mapped.last()), (Some(&32), Some(&65)));
    });
}

#[test]
fn a_frontend_that_says_nothing_of_it_has_no_page_mapped() {
    for said in ["0", "", "yes", "-1"] {
        let host = Host::new();
        host.front("feature-persistent", said);
        host.serve_one(async |front| {
            assert_eq!(front.transfer(BLKIF_OP_READ, 0, &front.pages(&[0; 4096])).await, OKAY);
            assert_eq!(host.budget.mapped(), 0, "{said}");
        });
    }
}

#[test]
fn what_cannot_be_mapped_is_copied_by_xen() {
    let host = Host::new();
    serve_persistent(&host, async |front| {
        // Granted for reading only.
        let page = front.peer.page(front.peer.offer_to_read(&[7; 4096]));
        assert_eq!(front.transfer(BLKIF_OP_WRITE, 8, &[page]).await, OKAY);
        let pages = front.pages(&[0; 4096]);
        assert_eq!(front.transfer(BLKIF_OP_READ, 8, &pages).await, OKAY);
        assert_eq!(bytes(&pages), [7; 4096]);
        assert_eq!(host.budget.mapped(), 0);
    });
}

#[test]
fn no_more_pages_of_a_frontend_stay_mapped_than_its_share_of_the_room() {
    let host = Host { budget: Budget::new(20), ..Host::new() };
    serve_persistent(&host, async |front| {
        let pages = front.pages(&content(40 * 4096));
        for (index, pages) in pages.chunks(8).enumerate() {
            assert_eq!(front.transfer(BLKIF_OP_WRITE, 64 * index as u64, pages).await, OKAY);
        }
        assert_eq!(host.budget.mapped(), 10);
        pages.iter().for_each(|page| page.write(0, &[0; 4096]));
        for (index, pages) in pages.chunks(8).enumerate() {
            assert_eq!(front.transfer(BLKIF_OP_READ, 64 * index as u64, pages).await, OKAY);
        }
        assert!(bytes(&pages) == content(40 * 4096));
    });
}
