# SPDX-License-Identifier: MIT OR Apache-2.0
# The driver domain's disks fail, are full and grow beneath it; dom0's Linux, which has them from there, is told, and goes
# on with what is left of them.
modprobe xen-blkfront && modprobe dm-mod || exit 1
console=/var/log/xen/guest-$GUEST.log

fail() {
    echo "FAILED: $1"
    xenstore-ls $served
    cat $console
    dmesg | tail -n 30
    exit 2
}

# Gives the driver domain a disk, which it serves to Linux by the same name.
serve() {
    before=$(grep -c "disk $1: " $console)
    xl block-attach $GUEST "format=raw,vdev=$1,script=/tmp/block-lab,target=$2" || fail "no $1"
    until_it_holds "[ \"\$(grep -c 'disk $1: ' $console)\" -gt $before ]" || fail "the driver domain has no $1"
    xl block-attach 0 "vdev=$1,format=raw,backend=$GUEST,target=$1" || fail "$1 is not attached"
    until_it_holds "[ -b /dev/$1 ] && [ \"\$(blockdev --getsize64 /dev/$1)\" = $3 ]" || fail "Linux has no $1"
}

write() { dd if=/tmp/sent of=/dev/$1 bs=64k count=1 seek=$2 oflag=direct 2>/dev/null; }
reads_back() { dd if=/dev/$1 bs=64k count=1 skip=$2 iflag=direct 2>/dev/null | cmp - /tmp/sent; }
head -c 65536 /dev/urandom >/tmp/sent

# The second half of a disk cannot be read or written.
truncate -s 4M /tmp/half.img
half=$(losetup -f --show /tmp/half.img)
printf '0 4096 linear %s 0\n4096 4096 error\n' $half | dmsetup create --noudevsync half || fail "no such disk"
dmsetup mknodes half
serve xvdh /dev/mapper/half 4194304
write xvdh 3 && reads_back xvdh 3 || fail "the good half"
! write xvdh 40 || fail "the bad half is written"
! reads_back xvdh 40 2>/dev/null || fail "the bad half is read"
write xvdh 4 && reads_back xvdh 4 && reads_back xvdh 3 || fail "the good half afterwards"
echo "a disk that fails: told, and the rest is good"

# A disk on a file system that is full.
mkdir -p /tmp/full && mount -t tmpfs -o size=2m none /tmp/full && truncate -s 8M /tmp/full/disk.img
full=$(losetup -f --show /tmp/full/disk.img)
serve xvdi $full 8388608
written=0
while write xvdi $written && [ $written -lt 128 ]; do written=$((written + 1)); done
[ $written -gt 0 ] && [ $written -lt 64 ] || fail "$written of 32 pieces are written"
reads_back xvdi 0 || fail "the full disk"
echo "a disk that is full: told, and what is there is good"

# A disk that grows is seen to do so by Linux.
truncate -s 2M /tmp/grows.img
grows=$(losetup -f --show /tmp/grows.img)
serve xvdj $grows 2097152
write xvdj 0 || fail "the small disk"
truncate -s 6M /tmp/grows.img && losetup -c $grows
until_it_holds 'reads_back xvdj 0 && [ "$(blockdev --getsize64 /dev/xvdj)" = 6291456 ]' || fail "it does not grow"
write xvdj 95 && reads_back xvdj 95 || fail "the end of the disk that has grown"
echo "a disk that grows: seen"

# A disk that is taken from the driver domain while it serves it, and comes back.
write xvdj 7 || fail "before it goes"
xl block-detach $GUEST xvdj || xl block-detach $GUEST xvdj --force || fail "it does not go"
! write xvdj 8 || fail "a disk that is gone is written"
xl block-detach 0 xvdj || fail "it is not detached"
until_it_holds '! [ -e /dev/xvdj ]' || fail "it is still there"
serve xvdj $grows 6291456
reads_back xvdj 7 && write xvdj 8 && reads_back xvdj 8 || fail "it is not what it was"
echo "a disk that goes and comes: told, and good"

for disk in xvdh xvdi xvdj; do
    xl block-detach 0 $disk || fail "$disk is not detached"
done
nothing_is_served || exit 3
for disk in xvdh xvdi xvdj; do
    xl block-detach $GUEST $disk || fail "$disk does not go"
done
umount /tmp/full 2>/dev/null
dmsetup remove --noudevsync half
losetup -d $half $full $grows
umount /tmp/full 2>/dev/null
true
