#!/bin/busybox sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The first process of a Linux that is measured: loads the disk's driver, and does as the kernel's
# command line says.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b insmod /blkfront.ko
i=0
until [ -b /dev/xvda ] || [ $i -ge 100 ]; do $b sleep 0.1; i=$((i + 1)); done
/bin/rival $($b cat /proc/cmdline)
$b sleep 1
$b poweroff -f
