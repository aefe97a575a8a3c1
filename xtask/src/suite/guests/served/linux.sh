# SPDX-License-Identifier: MIT OR Apache-2.0
# A Linux, the lab's own, whose root file system is on the driver domain's disk, which it has for reading, too.
tree=/tmp/served.tree
rm -rf $tree
mkdir -p $tree/bin $tree/dev $tree/proc $tree/sys
cp /bin/busybox $tree/bin/
for library in $(ldd /bin/busybox | grep -o '/[^ ]*\.so[^ ]*'); do
    mkdir -p "$tree/$(dirname "$library")"
    cp -L "$library" "$tree/$library"
done
cat >$tree/init <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b grep ' / ' /proc/mounts
sum() {
    $b sha256sum | $b cut -c-64
}
# What is read next comes off the disk: programs, too.
forget() {
    $b sync
    echo 3 >/proc/sys/vm/drop_caches
}
same() {
    [ "$2" = "$3" ] && echo "$1: whole" || echo "$1: $2 became $3"
}
for round in 1 2 3 4 5; do
    $b dd if=/dev/urandom of=/data bs=64k count=64 2>/dev/null
    before=$(sum </data)
    forget
    same "round $round" "$before" "$(sum </data)"
done
for part in 1 2 3 4; do
    $b dd if=/dev/urandom of=/part$part bs=4k count=256 conv=fsync 2>/dev/null &
done
wait
parts=$($b cat /part1 /part2 /part3 /part4 | sum)
forget
for part in 1 2 3 4; do
    $b cat /part$part >/dev/null &
done
wait
same "four at a time" "$parts" "$($b cat /part1 /part2 /part3 /part4 | sum)"
$b rm /part1 /part3
before=$(sum </data)
$b dd if=/data of=/direct bs=61440 oflag=direct 2>/dev/null
same "past the cache" "$before" "$($b dd if=/direct iflag=direct bs=128k 2>/dev/null | sum)"
forget
same "behind the cache" "$before" "$(sum </direct)"
$b rm /direct
$b sync
$b fstrim -v /
forget
same "after fstrim" "$before" "$(sum </data)"
set -- $($b cat /sys/block/xvda/stat)
[ ${12} -gt 0 ] && [ ${16} -gt 0 ] && echo "discards and flushes were sent"
[ "$($b cat /sys/block/xvdb/ro)" = 1 ] && ! $b dd if=/data of=/dev/xvdb count=1 2>/dev/null && echo "xvdb cannot be written"
$b sync
$b mount -o remount,ro /
forget
before=$(sum </dev/xvda)
same "the disk for reading" "$before" "$($b dd if=/dev/xvdb iflag=direct bs=1M 2>/dev/null | sum)"
echo "the disk is $before"
echo "linux: done"
$b poweroff -f
END
chmod +x $tree/init
# It is the driver domain's, which keeps nothing of it; dom0 must not, either.
mke2fs -q -F -t ext4 -d $tree /dev/vda && sync && blockdev --flushbufs /dev/vda || exit 1
words='root=/dev/xvda rw init=/init console=hvc0 panic=1 sysrq_always_enabled'
disk="format=raw,backend=$GUEST,target=xvda"
write_front "$words" "'vdev=xvda,$disk','vdev=xvdb,access=r,$disk'"
sed -i -e "s|^kernel.*|kernel = '/vmlinuz'\nramdisk = '/initrd.img'|" -e 's|^memory.*|memory = 256|' /tmp/front.cfg
xl create -q /tmp/front.cfg || exit 2
# What both know, if the Linux does not come to its end.
said 'linux: done' 600 || {
    for key in w t m; do
        xl sysrq front $key
        xl sysrq $DOMID $key
        sleep 3
    done
    cat $log /var/log/xen/guest-$GUEST.log
    xenstore-ls -f $served
    xl debug-keys e
    xl dmesg | tail -n 80
    exit 3
}
cat $log
xl destroy front
nothing_is_served || exit 4
h=$(dd if=/dev/vda iflag=direct bs=1M 2>/dev/null | sha256sum | cut -c-64)
grep -q "the disk is $h" $log && echo "dom0 finds the same"
blockdev --flushbufs /dev/vda
e2fsck -fn /dev/vda && echo "fsck finds nothing"
