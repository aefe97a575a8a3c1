// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several vCPUs.

use super::GuestTest;
use crate::env::Env;
use crate::guest::{Backend, Boot};

/// Four vCPUs, each with something to do, and with something to say to the next.
const FOUR: GuestTest = GuestTest::new("", "vcpus")
    .vcpus(4)
    .words("messages=10000")
    .telling(&["4 of 4 tasks ran where they were started", "10000 messages sent, 10000 received"]);

/// Two vCPUs of four are on.
const SWITCHED_OFF: GuestTest =
    GuestTest::new("", "vcpus").vcpus(2).settings(&["maxvcpus = 4"]).telling(&["prism::boot: vcpus: 2\n"]);

/// What has vCPUs come and go.
macro_rules! hotplug {
    ($script:literal) => {
        concat!(include_str!("vcpus/hotplug.sh"), include_str!($script))
    };
}

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    // Not in `hvm`: started without firmware, it has neither ACPI nor memory below 1 MiB to start one in.
    FOUR.named("four_vcpus_work_together")
        .envs(&[Env::Dom0Pv, Env::Pv, Env::Pvh, Env::PvShim, Env::Kvm, Env::Fv])
        .long_envs(&[Env::Dom0Pvh, Env::Pvhvm, Env::QemuXen]),
    FOUR.named("four_vcpus_work_together_behind_a_bios")
        .envs(&[Env::Hvm])
        .long_envs(&[Env::Pvhvm])
        .settings(&["hdtype = \"ahci\""])
        .booting_from(Boot::Disk),
    // In `pv` and `pvh`, who has vCPUs come and go looks, too.
    SWITCHED_OFF
        .named("vcpus_that_are_switched_off_stay_so")
        .envs(&[Env::PvShim])
        .long_envs(&[Env::Pv, Env::Pvh]),
    SWITCHED_OFF
        .named("vcpus_that_are_switched_off_stay_so_behind_a_bios")
        .envs(&[])
        .long_envs(&[Env::Pvhvm])
        .settings(&["maxvcpus = 4", "hdtype = \"ahci\""])
        .telling(&["entered by Multiboot2", "prism::boot: vcpus: 2\n"])
        .booting_from(Boot::Disk),
    // Two vCPUs of four are on at first, and each is used that is.
    GuestTest::new("vcpus_come_and_go_with_xl_vcpu_set", "vcpus")
        .vcpus(2)
        .settings(&["maxvcpus = 4"])
        .words("hotplug bind=1")
        .memory(32)
        .envs(&[Env::Pv, Env::Pvh])
        .long_envs(&[Env::Pvhvm])
        .beside("2 vCPUs work", hotplug!("vcpus/come_and_go.sh"))
        .telling(&[
            "prism::boot: vcpus: 2\n",
            "about to leave vCPU 1",
            "vCPU 3: online",
            "vCPU 0 stays online: it booted, and leads the others",
        ]),
    GuestTest::new("io_goes_on_while_vcpus_come_and_go", "disk")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh, Env::Pvhvm])
        .vcpus(4)
        .disk(Backend::Kernel)
        .words("mix=xvda,9,256")
        .beside("mixing", hotplug!("vcpus/with_io.sh"))
        .telling(&["256 MiB, all checked", "vCPU 3: offline", "vCPU 3: online"]),
    GuestTest::new("four_vcpus_exchange_a_million_messages", "vcpus")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh, Env::Pvhvm, Env::QemuXen])
        .vcpus(4)
        .words("messages=1000000")
        .telling(&["1000000 messages sent, 1000000 received in their order"]),
    GuestTest::new("vcpus_take_events_by_vectors_of_their_own", "vcpus")
        .envs(&[Env::Pvhvm])
        .long_envs(&[Env::Pvh])
        .vcpus(4)
        .words("messages=1000 upcall=percpu")
        .telling(&["upcall: event channels by vCPU vector", "400 events taken by 4 vCPUs"]),
    GuestTest::new("vcpus_find_events_by_polling", "vcpus")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pvhvm])
        .vcpus(4)
        .words("messages=1000 upcall=poll")
        .telling(&["upcall: event channels by polling", "400 events taken by 4 vCPUs"]),
    GuestTest::new("thirty_three_vcpus_boot", "vcpus")
        .in_pvh()
        .vcpus(33)
        .telling(&["33 of 33 tasks ran where they were started", "660 timers on 33 vCPUs, 0 early"]),
    GuestTest::new("sixty_four_vcpus_boot_with_few_event_channels", "vcpus")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .vcpus(64)
        .settings(&["max_event_channels = 255"])
        .telling(&["64 of 64 tasks ran where they were started", "timers on 64 vCPUs, 0 early"]),
    GuestTest::new("a_vcpu_that_overflows_its_stack_is_a_crash", "vcpus")
        .in_pvh()
        .vcpus(4)
        .words("crash=2")
        .crashing()
        .telling(&["vcpus::overflow"]),
];
