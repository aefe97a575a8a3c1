// SPDX-License-Identifier: MIT OR Apache-2.0
//! What works where: a table of behaviours and environments, made from the list of tests.

use std::fmt::Write;

use crate::env::Env;

/// Where the table is, from the project's root.
pub(super) const FILE: &str = "docs/support-matrix.md";

/// The command that writes it, and the table of faults.
pub(super) const COMMAND: &str = "matrix";

/// A behaviour, and the tests that show it.
struct Row {
    what: &'static str,
    /// Their names without environments.
    tests: &'static [&'static str],
    /// The environments that have nothing of the kind.
    never: &'static [Env],
}

const fn row(what: &'static str, tests: &'static [&'static str]) -> Row {
    Row { what, tests, never: &[] }
}

impl Row {
    const fn never(self, never: &'static [Env]) -> Self {
        Self { never, ..self }
    }
}

/// Without devices of `xl` for guests.
const NO_BACKENDS: &[Env] = &[Env::Dom0Pv, Env::Dom0Pvh, Env::Hvm, Env::Kvm, Env::Fv];
/// Without Xen's services for guests.
const NO_XEN: &[Env] = &[Env::Hvm, Env::Kvm, Env::Fv];
/// Without `xl`.
const NO_TOOLSTACK: &[Env] = &[Env::Dom0Pv, Env::Dom0Pvh, Env::QemuXen, Env::Kvm, Env::Fv];
/// Without a backend of Linux's.
const NO_LINUX: &[Env] = &[Env::Dom0Pv, Env::Dom0Pvh, Env::Hvm, Env::QemuXen, Env::Kvm, Env::Fv];
/// Without an emulated platform.
const NO_PLATFORM: &[Env] = &[Env::Dom0Pv, Env::Dom0Pvh, Env::Pv, Env::Pvh, Env::PvShim];
/// Without virtio.
const NO_VIRTIO: &[Env] = &[
    Env::Dom0Pv,
    Env::Dom0Pvh,
    Env::Pv,
    Env::Pvh,
    Env::PvShim,
    Env::Pvhvm,
    Env::HvmPvDrivers,
    Env::Hvm,
    Env::QemuXen,
];
/// Without devices for guests at all.
const DOM0: &[Env] = &[Env::Dom0Pv, Env::Dom0Pvh];

/// The parts of the table.
const PARTS: &[(&str, &[Row])] = &[
    (
        "Machine",
        &[
            row("boot, and the grid of the spectrum", &["spectrum_prints_the_right_grid"]),
            row("memory, clock, timers, console, verdict", &["smoke_finds_everything_in_order"]),
            row(
                "the hypercall page instead of inline calls",
                &["smoke_finds_everything_in_order_with_the_hypercall_page"],
            )
            .never(&[Env::Kvm, Env::Fv]),
            row(
                "boot from a disk or CD through a BIOS, or UEFI",
                &[
                    "smoke_finds_everything_in_order_on_a_disk",
                    "smoke_finds_everything_in_order_on_an_ahci_disk",
                    "smoke_finds_everything_in_order_by_uefi",
                    "hello_says_hello_from_a_cd",
                ],
            )
            .never(&[Env::Dom0Pv, Env::Dom0Pvh, Env::Pv, Env::Pvh, Env::PvShim]),
            row(
                "a plain `q35` with all devices behind root ports, or `pc`: SeaBIOS or OVMF, NVMe and virtio-scsi, \
                 e1000e, the power button",
                &[
                    "a_plain_q35_boots_by_seabios_serves_and_ends_by_its_power_button",
                    "a_plain_q35_boots_by_ovmf_serves_and_ends_by_its_power_button",
                    "a_plain_pc_boots_by_seabios_serves_and_ends_by_its_power_button",
                    "a_plain_pc_boots_by_ovmf_serves_and_ends_by_its_power_button",
                ],
            )
            .never(NO_PLATFORM),
            row(
                "four vCPUs: tasks, timers, events, messages",
                &["four_vcpus_work_together", "four_vcpus_work_together_behind_a_bios"],
            ),
            row(
                "33 and 64 vCPUs; a million messages between four",
                &[
                    "thirty_three_vcpus_boot",
                    "sixty_four_vcpus_boot_with_few_event_channels",
                    "four_vcpus_exchange_a_million_messages",
                ],
            ),
            row(
                "`vcpus` below `maxvcpus`",
                &["vcpus_that_are_switched_off_stay_so", "vcpus_that_are_switched_off_stay_so_behind_a_bios"],
            )
            .never(NO_TOOLSTACK),
            row(
                "vCPUs come and go: `xl vcpu-set`; with tasks bound to them, with I/O, over a restore",
                &[
                    "vcpus_come_and_go_with_xl_vcpu_set",
                    "io_goes_on_while_vcpus_come_and_go",
                ],
            )
            .never(NO_TOOLSTACK),
            row("all memory usable: 8 MiB, 4 GiB", &["all_of_8_mib_is_used", "all_of_4_gib_is_used"]),
            row(
                "`maxmem` above `memory`",
                &["what_is_not_populated_is_not_used", "memory_is_given_back_and_taken_again"],
            )
            .never(NO_TOOLSTACK),
            row("the host's date", &["a_guests_date_is_its_hosts"]),
            row("random numbers", &["random_numbers_differ_and_all_their_bits_move"]),
            row(
                "tasks as documented; embassy's main",
                &[
                    "tasks_wait_yield_and_end_as_documented",
                    "a_program_with_embassys_main_runs_until_it_is_asked_to_end",
                ],
            ),
            row("sleep without an exit", &["ten_seconds_of_sleep_cost_nothing"]),
            row(
                "crash report with names",
                &["a_panic_is_a_crash", "overflowing_the_stack_is_a_crash", "writing_to_code_is_a_crash"],
            ),
            row("console both ways", &["who_types_on_the_console_is_greeted"]),
            row(
                "a shell on the console",
                &["a_shell_tells_what_a_guest_is_and_does", "a_shell_works_on_a_serial_port"],
            ),
            row(
                "interrupts through the I/O APIC, no APIC at all",
                &[
                    "events_come_by_a_line_of_the_io_apic_that_firmware_tells_of",
                    "emulated_xen_serves_a_disk_by_a_line_of_the_io_apic",
                    "emulated_xen_serves_a_processor_without_an_apic",
                    "a_virtio_disk_on_pci_is_told_of_by_the_io_apic",
                    "an_emulated_disk_is_told_of_by_the_io_apic",
                ],
            )
            .never(NO_PLATFORM),
            row(
                "machines without PCI (`microvm`), with and without ACPI",
                &[
                    "smoke_finds_everything_in_order_on_a_microvm",
                    "smoke_finds_everything_in_order_on_a_microvm_without_acpi",
                ],
            )
            .never(NO_VIRTIO),
        ],
    ),
    (
        "Xen",
        &[
            row(
                "event channels, timers in order",
                &["no_event_is_lost_and_no_timer_is_early", "no_event_is_lost_where_there_is_no_fifo_abi"],
            )
            .never(NO_XEN),
            row(
                "events by a vector, a vector of each vCPU, polling",
                &[
                    "vcpus_take_events_by_vectors_of_their_own",
                    "vcpus_find_events_by_polling",
                    "emulated_xen_tells_of_events_by_a_vector",
                    "emulated_xen_tells_of_events_by_vectors_of_vcpus",
                ],
            )
            .never(&[Env::Dom0Pv, Env::Pv, Env::PvShim, Env::Hvm, Env::Kvm, Env::Fv]),
            row("grant table", &["a_hundred_thousand_grants_leave_no_trace"]).never(NO_XEN),
            row("xenstore", &["xenstore_serves_a_hundred_tasks_at_once"]).never(NO_BACKENDS),
            row(
                "oxenstored: requests, watches, transactions, quotas; devices; saved and restored",
                &["guests_work_with_oxenstored"],
            )
            .never(NO_LINUX),
            row(
                "an xenstored that lies; floods, storms, small limits",
                &[
                    "a_lying_xenstored_is_survived",
                    "a_flooded_watch_costs_no_more_than_it_may",
                    "work_goes_on_in_a_storm_of_events",
                    "limits_of_xenstore_are_errors",
                    "a_domain_with_few_ports_lives",
                    "a_disk_and_an_interface_share_a_frame_of_grants_and_few_event_channels",
                ],
            )
            .never(NO_LINUX),
            row(
                "a disk backend that makes any move, and one that hoards pages",
                &["an_adversary_plays_moves", "a_backend_that_hoards_pages_is_given_up_and_others_go_on"],
            )
            .never(NO_LINUX),
            row("a network backend that makes any move", &["an_adversary_plays_moves_in_a_network"])
                .never(NO_LINUX),
            row(
                "a toolstack and a console that make any move",
                &["an_adversary_plays_moves_in_xenstore_and_at_the_console"],
            )
            .never(NO_LINUX),
            row(
                "events, pages, transactions shared with dom0",
                &[
                    "ten_thousand_events_to_dom0_and_back_are_not_lost",
                    "pages_are_shared_with_dom0_both_ways",
                    "transactions_beside_a_writer_in_dom0_add_up",
                ],
            )
            .never(NO_LINUX),
            row("power off, reboot", &["switching_off_is_a_poweroff", "starting_again_is_a_reboot"]),
            row(
                "`xl shutdown`, `xl reboot`; unknown requests are left alone",
                &[
                    "xl_shutdown_is_obeyed",
                    "a_guest_tells_what_it_does_and_goes_on",
                    "halt_is_a_poweroff",
                    "a_request_in_xenstore_is_obeyed",
                    "a_request_that_nobody_knows_is_left_alone",
                ],
            )
            .never(NO_LINUX),
            row(
                "the power button: `xl trigger ... power`, `virsh shutdown`",
                &[
                    "xl_trigger_power_is_obeyed_behind_a_bios",
                    "the_power_button_is_obeyed",
                    "the_power_button_of_a_q35_is_obeyed",
                ],
            )
            .never(NO_PLATFORM),
            row(
                "`xl trigger ... nmi`, `xl sysrq`",
                &[
                    "a_guest_tells_what_it_does_and_goes_on",
                    "xl_sysrq_crashes_a_guest_with_a_report",
                    "xl_sysrq_reboots_a_guest_at_once",
                    "xl_sysrq_switches_a_guest_off_at_once",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "`xl dump-core`, `on_crash=\"coredump-destroy\"`",
                &["the_memory_of_a_guest_is_dumped", "a_crashed_domain_is_dumped_and_destroyed"],
            )
            .never(NO_TOOLSTACK),
            row(
                "`xl save`, `xl restore`; four vCPUs; twenty times",
                &[
                    "a_guest_is_saved_and_restored",
                    "four_vcpus_go_on_after_a_restore",
                    "two_restores_of_one_file_draw_different_numbers",
                    "a_restored_guest_sleeps_without_an_exit",
                    "a_guest_is_suspended_twenty_times",
                    "a_guest_with_vectors_of_its_own_is_restored",
                    "a_guest_that_polls_for_events_is_restored",
                    "a_guest_of_the_2_level_abi_is_restored",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "`xl save -c`; a guest that refuses, or cannot be suspended; requests in boot, in a handshake, during \
                 another one, withdrawn",
                &[
                    "a_checkpoint_changes_nothing",
                    "requests_to_suspend_that_come_on_top_of_each_other_are_one",
                    "a_guest_is_suspended_while_it_boots_and_while_it_connects",
                    "an_application_may_refuse_to_be_suspended",
                    "a_guest_that_cannot_be_suspended_says_so_and_goes_on",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "restored without the disk, the bridge, the interface; with fewer event channels, a smaller grant table",
                &[
                    "a_guest_is_restored_without_its_disk",
                    "a_guest_is_restored_without_its_bridge_and_its_interface",
                    "a_guest_that_may_have_fewer_event_channels_says_so",
                    "io_goes_on_with_a_smaller_grant_table",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "a server, a disk and a store under load: restored twenty times, migrated ten times; nothing leaks",
                &[
                    "three_guests_are_restored_twenty_times_and_nothing_leaks",
                    "three_guests_migrate_ten_times_to_their_own_host_and_nothing_leaks",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "xenstored and xenconsoled are replaced, xenstored is killed; `xl destroy` in the middle of a handshake",
                &[
                    "a_guest_goes_on_when_xenstored_and_xenconsoled_are_replaced",
                    "a_server_serves_on_when_xenstored_is_killed",
                    "of_guests_that_are_destroyed_while_they_connect_nothing_is_left",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "connections, a disk, and I/O under way outlive it",
                &[
                    "a_server_with_connections_and_a_disk_is_saved_and_restored",
                    "a_server_with_a_fixed_address_and_connections_is_saved_and_restored",
                    "a_server_with_connections_and_a_disk_migrates",
                    "io_survives_being_saved_and_restored",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "`xl migrate`; ten times; to another host and back",
                &[
                    "a_guest_migrates",
                    "a_guest_migrates_ten_times",
                    "three_guests_migrate_five_times_between_two_hosts",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "osstest's sequence of steps for a guest",
                &[
                    "osstests_guest_sequence_in_short",
                    "osstests_guest_sequence",
                    "osstests_guest_sequence_without_migrations",
                ],
            )
            .never(NO_TOOLSTACK),
            row(
                "`xl mem-set`; targets that make no sense; up to `maxmem`; saved with less memory",
                &[
                    "memory_is_given_back_and_taken_again",
                    "targets_that_make_no_sense_do_no_harm",
                    "a_guest_grows_beyond_what_it_was_started_with",
                    "a_guest_with_a_card_gives_memory_back_and_takes_it_again",
                    "a_guest_with_less_memory_is_saved_and_restored",
                ],
            )
            .never(NO_TOOLSTACK),
        ],
    ),
    (
        "Disks",
        &[
            row(
                "the same file off any disk, by the same words",
                &["the_same_file_is_served_off_any_disk_by_the_same_words"],
            )
            .never(DOM0),
            row(
                "blkfront: Linux reads what the guest wrote, and back",
                &["linux_reads_what_the_guest_wrote", "the_guest_reads_what_linux_wrote"],
            )
            .never(NO_BACKENDS),
            row(
                "blkfront on QEMU's backend in dom0",
                &[
                    "linux_reads_what_the_guest_wrote_through_qemu",
                    "the_guest_reads_what_linux_wrote_through_qemu",
                ],
            )
            .never(NO_LINUX),
            row(
                "a backend that restarts under I/O; `xl block-detach`, `block-attach`",
                &[
                    "io_survives_a_restart_of_the_backend",
                    "a_disk_that_is_detached_under_io_fails_and_can_come_back",
                    "a_disk_that_is_torn_away_under_io_fails_and_can_come_back",
                ],
            )
            .never(NO_LINUX),
            row(
                "Prism's frontends on Prism's backends: the tests of disks and networks",
                &[
                    "frontends_work_with_driver_domains",
                    "disks_and_networks_of_driver_domains",
                    "a_large_file_comes_through_driver_domains",
                ],
            )
            .never(NO_LINUX),
            row(
                "blkback: a disk served to another guest, attached and detached",
                &[
                    "a_guest_has_its_disk_from_a_driver_domain",
                    "a_disk_is_served_again_and_again",
                    "a_thousand_disks_leave_nothing_behind",
                    "a_frontend_of_a_disk_that_lies_leaves_nothing_behind",
                ],
            )
            .never(NO_LINUX),
            row("blkback: Linux has its root there", &["a_linux_has_its_root_from_a_driver_domain"]).never(NO_LINUX),
            row(
                "blkback: guests saved, restored, destroyed; disks that fail and grow; too many of them",
                &[
                    "guests_on_a_driver_domains_disk_are_saved_and_restored",
                    "a_guest_that_is_destroyed_under_io_disturbs_no_other",
                    "a_driver_domains_disks_fail_and_grow_and_their_frontends_are_told",
                    "more_disks_than_a_driver_domain_can_serve_are_refused",
                ],
            )
            .never(NO_LINUX),
            row(
                "a driver domain for disks is destroyed, and another one serves in its place",
                &["a_disk_comes_back_when_its_driver_domain_is_restarted"],
            )
            .never(NO_LINUX),
            row(
                "4 KiB sectors; a disk that grows; discard",
                &[
                    "sectors_of_4_kib_are_written_and_read",
                    "a_disk_grows_while_it_is_read",
                    "what_is_discarded_takes_no_room",
                ],
            )
            .never(NO_LINUX),
            row("a queue for each of four vCPUs", &["each_vcpu_has_a_queue_of_its_own"]).never(NO_LINUX),
            row(
                "a CD, and another one in its place; a module of the loader as disk `ram0`",
                &["a_cd_is_read", "a_cd_is_taken_out_and_another_one_put_in", "nobody_waits_for_a_drive_without_a_cd", "a_ramdisk_is_a_disk"],
            )
            .never(DOM0),
            row(
                "slow disks, disks without a cache, the guest paused and capped",
                &["disks_are_slow_or_without_a_cache_and_the_guest_is_held_up"],
            )
            .never(NO_LINUX),
            row("forty disks and sixteen interfaces", &["there_are_forty_disks_and_sixteen_interfaces"])
                .never(NO_LINUX),
            row("virtio-blk behind a PCIe root port", &["disks_and_nics_behind_root_ports_are_found"])
                .never(NO_VIRTIO),
            row("IDE, AHCI", &["an_emulated_disk_is_read", "an_ahci_disk_is_read"]).never(NO_PLATFORM),
            row(
                "NVMe, also behind a PCIe root port",
                &[
                    "an_nvme_disk_keeps_what_is_written",
                    "a_pci_express_nic_and_an_nvme_disk_behind_root_ports_serve",
                ],
            )
            .never(NO_PLATFORM),
            row(
                "virtio-blk on PCI and MMIO",
                &["a_virtio_disk_is_read", "a_virtio_disk_in_memory_keeps_what_is_written"],
            )
            .never(NO_VIRTIO),
            row("virtio-scsi on PCI", &["a_virtio_scsi_disk_keeps_what_is_written"]).never(NO_VIRTIO),
            row(
                "FAT read and written, ext2 to ext4 read, partitions",
                &["fat_is_read_and_written_and_fsck_is_content", "ext4_in_a_partition_is_read"],
            )
            .never(DOM0),
            row(
                "a store survives `xl destroy`",
                &["a_store_that_is_destroyed_again_and_again_loses_nothing"],
            )
            .never(NO_LINUX),
            row(
                "a 4 KiB read costs one notification and one sleep",
                &["a_read_costs_a_notification_and_a_sleep"],
            )
            .never(NO_LINUX),
        ],
    ),
    (
        "Network",
        &[
            row("curl and wrk are served", &["web_clients_are_served"]).never(DOM0),
            row(
                "netback: another guest's interface bridged to a network, attached and detached",
                &[
                    "a_guest_has_its_network_from_a_driver_domain",
                    "what_is_sent_through_a_driver_domain_comes_back",
                    "a_linux_has_its_network_from_a_driver_domain",
                    "a_linux_has_its_network_from_a_driver_domain_with_several_queues",
                    "an_interface_is_served_again_and_again",
                    "a_frontend_of_an_interface_that_lies_leaves_nothing_behind",
                ],
            )
            .never(NO_LINUX),
            row(
                "netback: guests saved, restored, flooded, destroyed; the uplink goes and comes back",
                &[
                    "guests_on_a_driver_domains_network_are_saved_and_restored",
                    "a_guest_that_is_flooded_and_destroyed_disturbs_no_other",
                    "a_driver_domains_own_interface_goes_and_comes_back",
                ],
            )
            .never(NO_LINUX),
            row(
                "a driver domain for networks is destroyed, and another one serves in its place",
                &["an_interface_comes_back_when_its_driver_domain_is_restarted"],
            )
            .never(NO_LINUX),
            row(
                "a router between other guests and a network: NAT, rules, DHCP, IPv6",
                &[
                    "a_guest_behind_a_router_reaches_the_network_and_is_not_reached",
                    "a_linux_finds_its_way_through_a_router",
                ],
            )
            .never(NO_LINUX),
            row("TCP and UDP echo, several interfaces", &["what_is_sent_comes_back"]).never(DOM0),
            row("ping of 0 to 65507 bytes, IPv4 and IPv6, DHCP", &["pings_of_all_sizes_are_answered"])
                .never(DOM0),
            row(
                "a real iperf3, as server and client",
                &["a_real_iperf_measures_both_directions", "the_guest_measures_with_a_real_iperf_server"],
            )
            .never(DOM0),
            row("a web server in 8 MiB", &["eight_mib_are_enough_for_a_web_server"]).never(DOM0),
            row(
                "no IPv6 router, no DHCP, IPv6 only, a path of 1280 bytes, a busy host",
                &[
                    "nobody_else_speaks_on_the_network",
                    "the_network_has_ipv6_only",
                    "dhcp_tells_of_no_router",
                    "dhcp_tells_of_a_router_that_does_not_advertise_itself",
                    "the_gateway_is_outside_of_the_prefix",
                    "a_busy_host_has_a_network_where_nobody_else_speaks",
                ],
            )
            .never(NO_LINUX),
            row(
                "an interface unplugged, plugged in, its backend restarted; leases and connections live on",
                &[
                    "an_interface_comes_back_under_load",
                    "a_lease_and_its_connections_outlive_a_restart_of_the_backend",
                ],
            )
            .never(NO_LINUX),
            row(
                "multicast filter in the backend; several queues; checksums without offload",
                &[
                    "packets_of_other_groups_stay_away",
                    "flows_have_several_queues",
                    "checksums_are_right_where_nobody_else_fills_them_in",
                ],
            )
            .never(NO_LINUX),
            row(
                "an emulated NIC, unplugged when netfront works",
                &[
                    "an_emulated_nic_goes_when_the_paravirtual_interface_works",
                    "an_emulated_nic_stays_where_nothing_paravirtual_may_be_used",
                ],
            )
            .never(&[
                Env::Dom0Pv,
                Env::Dom0Pvh,
                Env::Pv,
                Env::Pvh,
                Env::PvShim,
                Env::Hvm,
                Env::QemuXen,
                Env::Kvm,
                Env::Fv,
            ]),
            row(
                "e1000e, virtio-net behind a PCIe root port",
                &[
                    "a_pci_express_nic_and_an_nvme_disk_behind_root_ports_serve",
                    "disks_and_nics_behind_root_ports_are_found",
                ],
            )
            .never(NO_PLATFORM),
            row(
                "virtio-net on MMIO (`microvm`)",
                &[
                    "web_clients_are_served_by_a_microvm",
                    "web_clients_are_served_by_a_modern_virtio_nic_in_memory",
                ],
            )
            .never(NO_VIRTIO),
        ],
    ),
    (
        "Consoles beside Xen's",
        &[
            row("screen and keyboard", &["a_screen_and_a_keyboard_are_a_console"]).never(NO_PLATFORM),
            row(
                "virtio console on PCI and MMIO",
                &[
                    "smoke_finds_everything_in_order_where_there_is_only_a_virtio_console",
                    "who_types_on_a_virtio_console_is_greeted",
                    "who_types_on_a_virtio_console_on_pci_is_greeted",
                    "a_shell_works_on_a_virtio_console",
                ],
            )
            .never(NO_VIRTIO),
        ],
    ),
];

/// What stands above the tables.
const HEAD: &str = "# What works where

Made from the list of tests by `scripts/test matrix`; a test compares.

- **x**: shown by a test of the normal run (`scripts/test`)
- **o**: shown by a test of `scripts/test long`
- **-**: this environment has nothing of the kind
- empty: not tested there

Each cell is backed by all the tests of its row that exist there. `scripts/test NAME` runs them.

| environment | what it is |
|---|---|
";

/// What stands below them.
const TAIL: &str = "
GRUB loads the image by Multiboot 1 and 2 (`grub_boots_the_image_by_multiboot`, `..._multiboot2`), by a BIOS and
without a hypervisor.
";

/// The document, from the names of all tests in the normal run and those in the long one.
pub(super) fn document(normal: &[String], long: &[String]) -> String {
    let mut text = HEAD.to_owned();
    for env in Env::ALL {
        let _ = writeln!(text, "| `{}` | {} |", env.name(), env.about());
    }
    for (topic, rows) in PARTS {
        let names: Vec<&str> = Env::ALL.iter().map(|env| env.name()).collect();
        let _ = writeln!(text, "\n## {topic}\n\n| | {} | tests |", names.join(" | "));
        let _ = writeln!(text, "|---|{}---|", "---|".repeat(names.len()));
        for row in *rows {
            let cells: Vec<&str> = Env::ALL.iter().map(|&env| row.cell(env, normal, long)).collect();
            let _ = writeln!(text, "| {} | {} | {} |", row.what, cells.join(" | "), row.names());
        }
    }
    text + TAIL
}

impl Row {
    fn cell(&self, env: Env, normal: &[String], long: &[String]) -> &'static str {
        let shown = |names: &[String]| self.tests.iter().any(|test| has(names, test, env));
        match () {
            () if shown(normal) => "x",
            () if shown(long) => "o",
            () if self.never.contains(&env) => "-",
            () => "",
        }
    }

    fn names(&self) -> String {
        self.tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a test of this name is among `names` in this environment.
pub(super) fn has(names: &[String], test: &str, env: Env) -> bool {
    names.iter().any(|name| name.split_once('/') == Some((test, env.name())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::project::Project;
    use crate::suite::{Choice, guest_names};

    #[test]
    fn the_document_is_what_the_tests_say() {
        let (normal, long) = (guest_names(&Choice::All), guest_names(&Choice::Long));
        let path = Project::find().unwrap().root().join(FILE);
        let written = fs::read_to_string(path).unwrap();
        assert!(written == document(&normal, &long), "{FILE} is not true: scripts/test {COMMAND} writes it");
    }

    #[test]
    fn every_test_of_a_row_exists_somewhere_it_may() {
        let all = [guest_names(&Choice::All), guest_names(&Choice::Long)].concat();
        for row in PARTS.iter().flat_map(|(_, rows)| *rows) {
            for test in row.tests {
                assert!(Env::ALL.iter().any(|&env| has(&all, test, env)), "there is no test {test}");
            }
            let never = row.never.iter().find(|&&env| row.tests.iter().any(|test| has(&all, test, env)));
            assert_eq!(never, None, "{}", row.what);
        }
    }

    #[test]
    fn a_cell_tells_the_normal_run_from_the_long_one() {
        let names = |name: &str| vec![name.to_owned()];
        let row = row("", &["a"]).never(&[Env::Fv]);
        let cell = |env| row.cell(env, &names("a/pv"), &names("a/pvh"));
        assert_eq!([Env::Pv, Env::Pvh, Env::Fv, Env::Kvm].map(cell), ["x", "o", "-", ""]);
    }
}
