// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks, served by Linux and by QEMU.

use super::GuestTest;
use super::part::Part;
use crate::env::Env;
use crate::guest::Backend;

/// Where `xl` is.
const XL: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm];

/// Status 0 if the last checksum that the guest has printed is what Linux finds.
const SAME_TO_LINUX: &str = "h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64); \
     echo \"Linux finds $h\"; grep -hs 'sha256 xvda' /var/log/xen/guest-$GUEST.log /tmp/console | tail -n 1 | grep -q \"$h\"";

/// Fills the disk from dom0 before the guest runs, and compares when it is done.
const FILL_BEFORE: &str = "dd if=/dev/urandom of=/dev/vda oflag=direct bs=1M count=16 2>/dev/null; \
     h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64); xl unpause $DOMID; \
     said 'Test result'; \
     grep -qs \"sha256 xvda $h\" /var/log/xen/guest-$GUEST.log";

/// Has Linux's driver let go of the disk while the guest writes, and take it again.
const RESTART_BACKEND: &str = "d=/sys/bus/xen-backend/drivers/vbd; echo vbd-$DOMID-51712 >$d/unbind; \
     echo unbound; sleep 1; echo vbd-$DOMID-51712 >$d/bind; echo bound";

/// Takes the disk away while the guest reads, and gives it back.
const DETACH: &str = "sleep 0.5; xl block-detach $DOMID xvda && echo detached && \
     xl block-attach $DOMID format=raw,vdev=xvda,access=r,target=/dev/vda && echo attached";

/// The same without asking.
const FORCE: &str = "sleep 0.5; xl block-detach $DOMID xvda --force; echo detached; \
     xl block-attach $DOMID format=raw,vdev=xvda,access=r,target=/dev/vda && echo attached";

/// Makes a FAT file system with a file, and afterwards checks it and what the guest wrote.
const FAT: &str = "f=/tmp/fat.img; rm -f $f; truncate -s 16M $f; mkfs.fat $f >/dev/null; mkdir -p /tmp/fat; \
     mount -o loop $f /tmp/fat && cp /bin/busybox /tmp/fat/ && umount /tmp/fat || exit 1; \
     xl block-attach $DOMID format=raw,vdev=xvda,target=$f && xl unpause $DOMID; l=/var/log/xen/guest-$GUEST.log; \
     said 'Test result'; \
     grep -q \"sha256 /busybox $(sha256sum </bin/busybox | cut -c-64)\" $l || exit 2; \
     fsck.fat -n $f || exit 3; mount -o loop,ro $f /tmp/fat || exit 4; h=$(sha256sum </tmp/fat/numbers.bin | cut -c-64); \
     cat '/tmp/fat/a long name.txt'; umount /tmp/fat; grep -q \"sha256 /numbers.bin $h\" $l";

/// Makes an ext4 file system in the first partition of a disk.
const EXT4: &str = "f=/tmp/ext4.img; d=/tmp/ext4; rm -rf $f $d; mkdir -p $d/deep; cp /bin/busybox $d/deep/; \
     truncate -s 12M $f.part; mke2fs -q -t ext4 -d $d $f.part && truncate -s 16M $f && \
     dd if=$f.part of=$f bs=1M seek=1 conv=notrunc 2>/dev/null && rm $f.part || exit 1; \
     printf '\\0\\0\\0\\0\\203\\0\\0\\0\\0\\010\\0\\0\\0\\140\\0\\0' | dd of=$f bs=1 seek=446 conv=notrunc 2>/dev/null; \
     printf '\\125\\252' | dd of=$f bs=1 seek=510 conv=notrunc 2>/dev/null; \
     xl block-attach $DOMID format=raw,vdev=xvda,target=$f && xl unpause $DOMID; l=/var/log/xen/guest-$GUEST.log; \
     said 'Test result'; \
     grep -q \"sha256 /deep/busybox $(sha256sum </bin/busybox | cut -c-64)\" $l";

/// Gives a guest of four vCPUs a disk by a backend of four queues; afterwards each of them has
/// raised events.
const FOUR_QUEUES: &str = "m=/sys/module/xen_blkback/parameters/max_queues; old=$(cat $m); echo 4 >$m; \
     f=/tmp/queues.img; truncate -s 16M $f; xl block-attach $DOMID format=raw,vdev=xvda,target=$f || exit 1; \
     xl unpause $DOMID; l=/var/log/xen/guest-$GUEST.log; \
     said 'vcpus read'; \
     echo $old >$m; echo \"queues: $(xenstore-read /local/domain/$DOMID/device/vbd/51712/multi-queue-num-queues)\"; \
     n=$(grep blkif-backend /proc/interrupts | awk '$2 > 10' | wc -l); echo \"busy channels: $n\"";

/// A disk of 4 KiB sectors, the same to Linux when the guest is done with it.
const LARGE_SECTORS: &str = "f=/tmp/large.img; rm -f $f; truncate -s 16M $f; d=$(losetup -f --show -b 4096 $f) || exit 1; \
     xl block-attach $DOMID format=raw,vdev=xvda,target=$d && xl unpause $DOMID; l=/var/log/xen/guest-$GUEST.log; \
     said 'sha256 xvda'; \
     h=$(dd if=$d iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64); losetup -d $d; \
     grep -q \"sha256 xvda $h\" $l";

/// Makes a disk larger while the guest reads it.
const GROW: &str = "f=/tmp/grow.img; rm -f $f; truncate -s 8M $f; d=$(losetup -f --show $f) || exit 1; \
     xl block-attach $DOMID format=raw,vdev=xvdc,target=$d; l=/var/log/xen/guest-$GUEST.log; \
     said 'to grow'; \
     truncate -s 12M $f && losetup -c $d; \
     said 'xvdc grew'; losetup -d $d";

/// Gives the guest a file full of data; after it has discarded all, the file takes no room.
const DISCARD: &str = "f=/tmp/discard.img; dd if=/dev/urandom of=$f bs=1M count=8 2>/dev/null; \
     xl block-attach $DOMID format=raw,vdev=xvdb,target=$f; l=/var/log/xen/guest-$GUEST.log; \
     said 'mark discarded'; \
     echo \"KiB left: $(du -k $f | cut -f1)\"; echo >$(xenstore-read /local/domain/$DOMID/console/tty)";

/// Status 0 if the guest has read what Linux has in the file that is its CD.
const SAME_CD: &str = "f=/bin/busybox; h=$(head -c $(($(stat -c %s $f) / 512 * 512)) $f | sha256sum | cut -c-64); \
     grep -q \"sha256 xvda $h\" /var/log/xen/guest-$GUEST.log";

/// The same for what the loader put into memory; in a PV domain that is whole pages.
const SAME_RAMDISK: &str = "f=/bin/busybox; l=/var/log/xen/guest-$GUEST.log; \
     said 'sha256 ram0'; \
     n=$(sed -n 's/^ram0: \\([0-9]*\\) bytes.*/\\1/p' $l); [ $n -gt 500000 ] || exit 1; \
     h=$(cat $f /dev/zero | head -c $n | sha256sum | cut -c-64); grep -q \"sha256 ram0 $h\" $l";

/// What a guest says that has written all of its disk, in pieces of all sizes and from end to end.
const WRITTEN: &[&str] = &["64 MiB, all checked", "verified 16777216 bytes"];

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("linux_reads_what_the_guest_wrote", "disk")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::PvShim, Env::Pvhvm, Env::QemuXen])
        .disk(Backend::Kernel)
        .words("mix=xvda,1,64 fill=xvda,7 verify=xvda,7 mix=xvda,2,16 sha256=xvda")
        .beside("sha256 xvda", SAME_TO_LINUX)
        .telling(WRITTEN),
    GuestTest::new("the_guest_reads_what_linux_wrote", "disk")
        .in_pv()
        .disk(Backend::Kernel)
        .words("sha256=xvda")
        .after(FILL_BEFORE)
        .showing(&[Part::new("linux_reads_what_the_guest_wrote", &[Env::Pv])
            .words("mix=xvda,1,64 fill=xvda,7 verify=xvda,7 mix=xvda,2,16 sha256=xvda")
            .script(SAME_TO_LINUX)
            .telling(WRITTEN)]),
    GuestTest::new("the_guest_reads_what_linux_wrote_through_qemu", "disk")
        .in_pvh()
        .disk(Backend::Qemu)
        .words("sha256=xvda")
        .after(FILL_BEFORE)
        .showing(&[Part::new("linux_reads_what_the_guest_wrote_through_qemu", &[Env::Pvh])
            .long_envs(&[Env::Pv, Env::Pvhvm])
            .words("mix=xvda,3,64 fill=xvda,8 verify=xvda,8 mix=xvda,4,16 sha256=xvda")
            .script(SAME_TO_LINUX)
            .telling(WRITTEN)]),
    GuestTest::new("io_survives_a_restart_of_the_backend", "disk")
        .in_pvh()
        .disk(Backend::Kernel)
        .words("mix=xvda,9,256")
        .beside("mixing", RESTART_BACKEND)
        .telling(&["unbound", "256 MiB, all checked"]),
    GuestTest::new("a_disk_that_is_detached_under_io_fails_and_can_come_back", "disk")
        .in_pvh()
        .disk(Backend::Kernel)
        .words("hammer=xvda await=xvda list sha256=xvda")
        .beside("hammering", DETACH)
        .telling(&["the disk was taken away", "attached", "read-only", "sha256 xvda"]),
    GuestTest::new("a_disk_that_is_torn_away_under_io_fails_and_can_come_back", "disk")
        .in_pv()
        .disk(Backend::Kernel)
        .words("hammer=xvda await=xvda sha256=xvda")
        .beside("hammering", FORCE)
        .telling(&["the disk was taken away", "attached", "sha256 xvda"]),
    GuestTest::new("mixed_io_of_256_mib_is_right_under_qemus_xen", "disk")
        .envs(&[Env::QemuXen])
        .disk(Backend::Kernel)
        .words("mix=xvda,5,256 sha256=xvda")
        .beside("sha256 xvda", SAME_TO_LINUX)
        .telling(&["256 MiB, all checked"]),
    GuestTest::new("each_vcpu_has_a_queue_of_its_own", "disk")
        .envs(&[Env::Pv])
        .long_envs(&[Env::Pvh])
        .vcpus(4)
        .words("await=xvda spread=xvda,200 mix=xvda,11,16 mark=done")
        .after(FOUR_QUEUES)
        .telling(&["4 vcpus read 200 blocks each", "queues: 4", "busy channels: 4", "16 MiB, all checked"]),
    GuestTest::new("sectors_of_4_kib_are_written_and_read", "disk")
        .in_pv()
        .words("await=xvda list mix=xvda,6,32 fill=xvda,7 verify=xvda,7 sha256=xvda")
        .after(LARGE_SECTORS)
        .telling(&["sectors of 4096", "32 MiB, all checked", "verified 16777216 bytes"])
        .showing(&[
            Part::new("what_is_discarded_takes_no_room", &[Env::Pv])
                .long_envs(&[Env::Pvh, Env::Pvhvm])
                .words("await=xvdb list discard=xvdb mark=discarded")
                .script(DISCARD)
                .telling(&["discards", "KiB left: 0"]),
            Part::new("a_disk_grows_while_it_is_read", &[Env::Pv])
                .long_envs(&[Env::Pvh, Env::Pvhvm])
                .words("await=xvdc grow=xvdc")
                .script(GROW)
                .telling(&["xvdc grew from 8388608 to 12582912 bytes"]),
        ]),
    GuestTest::new("a_cd_is_read", "disk")
        .envs(&[Env::Pvh])
        .long_envs(&[Env::Pv])
        .settings(&["disk = [ \"/bin/busybox,raw,xvda,cdrom\" ]", "ramdisk = \"/bin/busybox\""])
        .words("list sha256=xvda")
        .beside("sha256 xvda", SAME_CD)
        .telling(&["read-only", "CD-ROM"])
        .showing(&[Part::new("a_ramdisk_is_a_disk", &[Env::Pvh])
            .words("sha256=ram0")
            .script(SAME_RAMDISK)
            .telling(&["ram0"])]),
    GuestTest::new("nobody_waits_for_a_drive_without_a_cd", "disk")
        .envs(&[])
        .long_envs(&[Env::Pvhvm])
        .settings(&["disk = [ \"/bin/busybox,raw,xvda,w\", \",,hdc,cdrom\" ]"])
        .words("list sha256=xvda")
        .telling(&["no medium; the disk appears when there is one", "1 disks"]),
    GuestTest::new("a_cd_is_taken_out_and_another_one_put_in", "disk")
        .envs(&[])
        .long_envs(&[Env::Pv, Env::Pvh])
        .words("await=xvdc list hammer=xvdc await=xvdc sha256=xvdc")
        .after(include_str!("disks/change_cd.sh"))
        .telling(&["CD-ROM", "the disk was taken away", "the other one was read"]),
    GuestTest::new("a_ramdisk_is_a_disk", "disk")
        .envs(&[Env::Pv])
        .settings(&["ramdisk = \"/bin/busybox\""])
        .words("list sha256=ram0")
        .beside("sha256 ram0", SAME_RAMDISK)
        .telling(&["ram0", "read-only"]),
    GuestTest::new("a_store_that_is_destroyed_again_and_again_loses_nothing", "kv")
        .envs(&[])
        .long_envs(XL)
        .words("disk=xvda check")
        .after(include_str!("disks/cut_power.sh"))
        .telling(&["round 4", "batches are whole"]),
    GuestTest::new("a_store_that_is_destroyed_a_hundred_times_loses_nothing", "kv")
        .envs(XL)
        .words("disk=xvda check")
        .after(concat!("rounds=100\n", include_str!("disks/cut_power.sh")))
        .telling(&["round 100", "batches are whole"])
        .lasting(30),
    GuestTest::new("fat_is_read_and_written_and_fsck_is_content", "files")
        .in_pv()
        .words("ls=/ sha256=/busybox \"put=/a long name.txt,hello\" fill=/numbers.bin,300000 sha256=/numbers.bin")
        .after(FAT)
        .telling(&["busybox", "hello"]),
    GuestTest::new("ext4_in_a_partition_is_read", "files")
        .in_pvh()
        .words("partitions disk=/dev/sda1 ro 4 ls=/ sha256=/deep/busybox")
        .after(EXT4)
        .telling(&["partition 1: 12582912 bytes at 1048576", "deep/"]),
];
