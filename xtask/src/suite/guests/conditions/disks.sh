# SPDX-License-Identifier: MIT OR Apache-2.0
# Three disks, each checked by what is written on it: on a loop device, on one where each request takes 20 ms, on one
# without a write cache. While the first is worked on, the guest may take little of a processor, is paused, and the
# date is set; the host is busy during the others.
# What is left of a guest before.
dmsetup remove --noudevsync slow 2>/dev/null
losetup -D
for name in loop slow plain; do truncate -s 16M /tmp/$name.disk; done
loop=$(losetup -f --show /tmp/loop.disk)
under=$(losetup -f --show /tmp/slow.disk)
plain=$(losetup -f --show /tmp/plain.disk)
modprobe -a dm-mod dm-delay
echo "0 32768 delay $under 0 20" | dmsetup create --noudevsync slow || exit 1
dmsetup mknodes slow
echo 'write through' >/sys/block/${plain#/dev/}/queue/write_cache
xl block-attach $DOMID format=raw,vdev=xvda,target="$loop" || exit 1
xl block-attach $DOMID format=raw,vdev=xvdb,target=/dev/mapper/slow || exit 1
xl block-attach $DOMID format=raw,vdev=xvdc,target="$plain" || exit 1
xl sched-credit2 -d $DOMID -c 10 -w 16
xl unpause $DOMID
check 'the first disk is worked on' said 'mixing reads and writes on xvda'
rests
changes_the_date
check 'that was done in the middle' sh -c "! grep 'xvda: .*all checked' '$log'"
xl sched-credit2 -d $DOMID -c 0 -w 256
check 'the first disk is right' said 'xvda: .*all checked'
burn
check 'the slow disk is right though the host is busy' said 'xvdb: .*all checked'
check 'the disk without a write cache is right though the host is busy' said 'xvdc: .*all checked'
kill $burners
burners=
check 'another domain took the processor of the guest' is_spinning
leave_the_host_alone
exit $failed
