// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paravirtual disks, served by Linux and by QEMU.

use super::GuestTest;
use crate::env::Env;
use crate::guest::Backend;

/// Where there are paravirtual disks.
const ENVS: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm, Env::QemuXen];

/// Where `xl` is.
const XL: &[Env] = &[Env::Pv, Env::Pvh, Env::Pvhvm];

/// Status 0 if the guest has printed the checksum that Linux finds.
const SAME_TO_LINUX: &str = "h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64); \
     echo \"Linux finds $h\"; grep -qs \"sha256 xvda $h\" /var/log/xen/guest-$GUEST.log /tmp/console";

/// Fills the disk from dom0 before the guest runs, and compares when it is done.
const FILL_BEFORE: &str = "dd if=/dev/urandom of=/dev/vda oflag=direct bs=1M count=16 2>/dev/null; \
     h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64); xl unpause $DOMID; \
     i=0; until grep -qs 'Test result' /var/log/xen/guest-$GUEST.log || [ $i -gt 300 ]; do sleep 0.2; i=$((i + 1)); done; \
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

/// The topic's tests.
pub(super) const TESTS: &[GuestTest] = &[
    GuestTest::new("linux_reads_what_the_guest_wrote", "disk")
        .envs(ENVS)
        .disk(Backend::Kernel)
        .words("mix=xvda,1,64 fill=xvda,7 verify=xvda,7 mix=xvda,2,16 sha256=xvda")
        .beside("sha256 xvda", SAME_TO_LINUX)
        .telling(&["64 MiB, all checked", "verified 16777216 bytes"]),
    GuestTest::new("linux_reads_what_the_guest_wrote_through_qemu", "disk")
        .envs(XL)
        .disk(Backend::Qemu)
        .words("mix=xvda,3,64 fill=xvda,8 verify=xvda,8 mix=xvda,4,16 sha256=xvda")
        .beside("sha256 xvda", SAME_TO_LINUX)
        .telling(&["64 MiB, all checked", "verified 16777216 bytes"]),
    GuestTest::new("the_guest_reads_what_linux_wrote", "disk")
        .envs(XL)
        .disk(Backend::Kernel)
        .words("sha256=xvda")
        .after(FILL_BEFORE),
    GuestTest::new("the_guest_reads_what_linux_wrote_through_qemu", "disk")
        .envs(XL)
        .disk(Backend::Qemu)
        .words("sha256=xvda")
        .after(FILL_BEFORE),
    GuestTest::new("io_survives_a_restart_of_the_backend", "disk")
        .envs(XL)
        .disk(Backend::Kernel)
        .words("mix=xvda,9,256")
        .beside("mixing", RESTART_BACKEND)
        .telling(&["unbound", "256 MiB, all checked"]),
    GuestTest::new("a_disk_that_is_detached_under_io_fails_and_can_come_back", "disk")
        .envs(XL)
        .disk(Backend::Kernel)
        .words("hammer=xvda await=xvda list sha256=xvda")
        .beside("hammering", DETACH)
        .telling(&["the disk was taken away", "attached", "read-only", "sha256 xvda"]),
    GuestTest::new("a_disk_that_is_torn_away_under_io_fails_and_can_come_back", "disk")
        .envs(XL)
        .disk(Backend::Kernel)
        .words("hammer=xvda await=xvda sha256=xvda")
        .beside("hammering", FORCE)
        .telling(&["the disk was taken away", "attached", "sha256 xvda"]),
];
