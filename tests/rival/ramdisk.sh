# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes a Linux's initial file system $1 of its first process $2, the program $3, a shell, the disk's
# driver, and the libraries that these need.
set -e
tree=/tmp/rival.tree
mkdir -p $tree/bin $tree/dev $tree/proc
cp "$2" $tree/init
cp "$3" $tree/bin/rival
cp /bin/busybox $tree/bin/busybox
chmod +x $tree/init $tree/bin/*
for library in $(ldd "$3" /bin/busybox | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
    mkdir -p "$tree/$(dirname "$library")"
    cp -L "$library" "$tree/$library"
done
busybox xzcat "$(find /lib/modules/ -name xen-blkfront.ko.xz)" >$tree/blkfront.ko
cd $tree
find . | busybox cpio -o -H newc >"$1" 2>/dev/null
rm -r $tree
