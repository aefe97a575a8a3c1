// SPDX-License-Identifier: MIT OR Apache-2.0

use prism_fuzz::fuzz_target;
use xen::DomainId;
use xen::fake::{FakeXen, FrontRing};
use xen::grant::ReadWrite;
use xen::grant::foreign::map;
use xen::ring::BackendRing;
use xen_sys::io::blkif::{blkif_request, blkif_response};

const FRONTEND: DomainId = DomainId(7);

/// More only takes longer.
const MOST_STEPS: usize = 400;

// Whatever a frontend writes and claims: there are never more requests without a response than the ring
// holds, no response is made that nobody asked for, and a ring that was poisoned stays so.
fuzz_target!(|steps: Vec<(u8, u32)>| {
    let xen = FakeXen::new();
    let front = FrontRing::make(&xen.peer(FRONTEND), 1, size_of::<blkif_request>());
    let pages = front
        .references()
        .into_iter()
        .map(|page| map::<ReadWrite, _, _>(&xen, FRONTEND, page, xen.place()).expect("the page is granted"));
    let mut back =
        BackendRing::attach(pages.collect(), size_of::<blkif_request>()).expect("a page is enough");
    let (mut taken, mut answered, mut poisoned) = (0_u64, 0_u64, false);
    for (step, number) in steps.into_iter().take(MOST_STEPS) {
        let near = |index: u32| if number > 64 { number } else { index.wrapping_add(number) };
        match step % 8 {
            0 => front.request(number, blkif_request { id: number.into(), ..Default::default() }),
            1 => drop(front.publish(near(front.requests()))),
            2 => front.listen(near(front.responses())),
            3 => front.forge_responses(number),
            4 => drop(back.request_event(number)),
            5 => answered += u64::from(back.push(blkif_response::default()).is_ok()),
            6 => drop(back.publish()),
            _ => taken += u64::from(matches!(back.pop::<blkif_request>(), Ok(Some(_)))),
        }
        assert!(answered <= taken && taken - answered <= back.capacity().into());
        assert_eq!(back.unanswered(), (taken - answered) as u32);
        assert!(!poisoned || back.is_poisoned());
        poisoned = back.is_poisoned();
    }
});
