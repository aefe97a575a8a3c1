#!/bin/busybox sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The first process of a Linux that is measured: loads the drivers, and then serves, or does as the
# kernel's command line says.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
line=$($b cat /proc/cmdline)
device=/dev/xvda
case "$line" in *serve* | *backend=network*) device=/sys/class/net/eth0 ;; esac
# A bridge hands on pages of other guests, which the interface cannot grant: those that it does not trust its backend
# with it copies.
parameters=
case "$line" in *backend=network*) parameters=trusted=0 ;; esac
$b insmod /xen-blkfront.ko
$b insmod /xen-netfront.ko $parameters
i=0
until [ -e $device ] || [ $i -ge 100 ]; do $b sleep 0.1; i=$((i + 1)); done
case "$line" in
*backend=*) . /backend.sh ;;
*serve*)
    $b ip link set lo up
    $b ip address add 192.0.2.2/24 dev eth0
    $b ip link set eth0 up
    /bin/iperf3 -s >/dev/null 2>&1 &
    /bin/nginx -p / -c /etc/nginx.conf
    echo "linux-baseline: ready"
    # The toolstack has it end, by /sbin/poweroff.
    while :; do $b sleep 3600; done
    ;;
esac
/bin/linux-baseline $line
$b sleep 1
$b poweroff -f
