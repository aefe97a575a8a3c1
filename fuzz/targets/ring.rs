// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::fake::{BackRing, FakeXen};
use xen::ring::Ring;
use xen_sys::io::blkif::{blkif_request, blkif_response};

const BACKEND: DomainId = DomainId(3);

/// More only takes longer.
const MOST_STEPS: usize = 400;

// Whatever a backend writes and claims: there are never more answers than requests, and a ring that
// was poisoned stays so.
fuzz_target!(|steps: Vec<(u8, u32)>| {
    let xen = FakeXen::new();
    let table = xen.table();
    let mut ring =
        Ring::new(&table, vec![xen.page()], BACKEND, size_of::<blkif_request>()).expect("a page is enough");
    let back = BackRing::map(&xen.peer(BACKEND), &ring);
    let (mut asked, mut answered, mut poisoned) = (0_u64, 0_u64, false);
    for (step, number) in steps.into_iter().take(MOST_STEPS) {
        match step % 6 {
            0 => asked += u64::from(ring.push(blkif_request::default()).is_ok()),
            1 => drop(ring.publish()),
            2 => back.respond(number, blkif_response { id: number.into(), ..Default::default() }),
            3 => drop(back.publish(if number > 64 { number } else { back.responses().wrapping_add(number) })),
            4 => drop(ring.request_event(number)),
            _ => answered += u64::from(matches!(ring.pop::<blkif_response>(), Ok(Some(_)))),
        }
        assert!(answered <= asked && ring.unanswered() <= ring.capacity());
        assert!(!poisoned || ring.is_poisoned());
        poisoned = ring.is_poisoned();
    }
    drop(back);
});
