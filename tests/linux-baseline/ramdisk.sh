# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes a Linux's initial file system $1 of the files in the directory $2, the program $3, what it
# serves with, a shell, the drivers, and the libraries that these need.
set -e
tree=/tmp/linux-baseline.tree
mkdir -p $tree/bin $tree/backend $tree/sbin $tree/dev $tree/proc $tree/sys $tree/tmp $tree/etc $tree/site
cp "$2/init.sh" $tree/init
cp "$2/backend.sh" $tree/backend.sh
cp "$2/end.sh" $tree/sbin/poweroff
cp "$2/nginx.conf" $tree/etc/nginx.conf
cp "$2/index.html" $tree/site/index.html
echo 'root:x:0:0::/:/bin/busybox' >$tree/etc/passwd
echo 'root:x:0:' >$tree/etc/group
cp "$3" $tree/bin/linux-baseline
cp /bin/busybox /usr/bin/iperf3 /usr/sbin/nginx $tree/bin/
chmod +x $tree/init $tree/sbin/* $tree/bin/*
for library in $(ldd $tree/bin/* | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
    mkdir -p "$tree/$(dirname "$library")"
    cp -L "$library" "$tree/$library"
done
for driver in xen-blkfront xen-netfront; do
    busybox xzcat "$(find /lib/modules/ -name $driver.ko.xz)" >$tree/$driver.ko
done
# In the order in which they are loaded.
for driver in 1-xen-blkback 2-xen-netback 3-llc 4-stp 5-bridge; do
    busybox xzcat "$(find /lib/modules/ -name ${driver#*-}.ko.xz)" >$tree/backend/$driver.ko
done
cd $tree
find . | busybox cpio -o -H newc >"$1" 2>/dev/null
rm -r $tree
