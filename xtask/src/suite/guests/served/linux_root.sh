# SPDX-License-Identifier: MIT OR Apache-2.0
# What there is of dom0's Linux in a guest whose interface is the driver domain's to serve: busybox, and modules.
root=/tmp/linux
rm -rf $root && mkdir -p $root/bin $root/proc $root/sys $root/dev
cp /bin/busybox $root/bin/
for library in $(ldd /bin/busybox | grep -o '/[^ ]*'); do
    mkdir -p $root/$(dirname $library)
    cp $library $root/$library
done
number=0
for module in $(modprobe -D xen-netfront | sed -n 's/^insmod //p'); do
    python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' $module >$root/$number.ko || exit 1
    number=$((number + 1))
done
