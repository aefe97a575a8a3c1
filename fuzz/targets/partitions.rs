// SPDX-License-Identifier: MIT OR Apache-2.0

use std::sync::Arc;

use futures::executor::block_on;
use prism_drivers::block::ByteRange;
use prism_drivers::block::partition::partitions;
use prism_drivers::block::ramdisk::RamDisk;
use prism_fuzz::fuzz_target;
use xen::fake::FakeXen;

fuzz_target!(|input: (bool, Vec<u8>)| {
    let (is_wide, mut content) = input;
    let sector: u32 = if is_wide { 4096 } else { 512 };
    content.resize(content.len().next_multiple_of(sector as usize), 0);
    let xen = FakeXen::new();
    let disk = Arc::new(RamDisk::new("xvda".into(), content, sector));
    let disk = ByteRange::of(disk, Arc::new(move || Some(xen.page())));
    let Ok(partitions) = block_on(partitions(&disk, sector)) else { return };
    assert!(partitions.len() <= 256 && partitions.is_sorted_by(|one, next| one.number < next.number));
    for partition in partitions {
        assert!(partition.length > 0 && disk.part(partition.start, partition.length).is_ok());
    }
});
