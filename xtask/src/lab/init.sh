#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The first process of a lab machine: brings it up as far as its role (prism.lab=xen|xen-oxenstored|kvm on
# the kernel command line) needs, then obeys the runner. Nothing else is decided here.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/xen-4.20/bin HOME=/root TERM=vt100

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
ip link set lo up

# With the xenstored of this name.
as_xen() {
    for module in xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback xen-netback loop tun bridge; do
        modprobe "$module"
    done
    mount -t xenfs xenfs /proc/xen
    mkdir -p /run/xenstored /run/xen /run/lock /var/lib/xenstored /var/log/xen /var/lib/xen
    "$1"
    xen-init-dom0
    xenconsoled --log=all --log-dir=/var/log/xen
    ip link add xenbr0 type bridge
    ip link set xenbr0 up
}

as_kvm() {
    modprobe kvm_amd
    modprobe tun
}

# The runner's console is hvc1 under Xen (hvc0 is Xen's own), hvc0 without.
case $(cat /proc/cmdline) in
    *prism.lab=xen-oxenstored*) as_xen oxenstored; RUNNER=/dev/hvc1 ;;
    *prism.lab=xen*) as_xen xenstored; RUNNER=/dev/hvc1 ;;
    *) as_kvm; RUNNER=/dev/hvc0 ;;
esac
export RUNNER

# The disks lent by the runner are empty while the snapshot is made: they are looked at again
# when the driver is bound to them.
for disk in /sys/bus/virtio/drivers/virtio_blk/virtio*; do
    [ -e "$disk" ] && basename "$disk" >/sys/bus/virtio/drivers/virtio_blk/unbind
done

# Requests are lines of a token and a shell command. The answer is whatever the command writes,
# then the token and the exit status behind an ASCII record separator.
exec <"$RUNNER" >"$RUNNER" 2>&1
stty raw -echo
printf '\036ready 0\n'
while read -r token command; do
    sh -c "$command" </dev/null
    printf '\036%s %s\n' "$token" $?
done
