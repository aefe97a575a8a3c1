# SPDX-License-Identifier: MIT OR Apache-2.0
# Dom0's Linux as a guest, with busybox.

# Has it bring these drivers, and run what is read here, with devices in /dev.
initramfs() {
    root=/tmp/linux
    rm -rf $root && mkdir -p $root/bin $root/proc $root/sys $root/dev
    cp /bin/busybox $root/bin/
    for library in $(ldd /bin/busybox | grep -o '/[^ ]*'); do
        mkdir -p $root/$(dirname $library)
        cp $library $root/$library
    done
    number=0
    for module in $(for driver in "$@"; do modprobe -D $driver; done | sed -n 's/^insmod //p'); do
        python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' $module >$root/$number.ko || return 1
        number=$((number + 1))
    done
    {
        cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /?.ko; do insmod $module; done
INIT
        cat
    } >$root/init
    chmod +x $root/init
    (cd $root && find . | cpio -o -H newc 2>/dev/null | gzip -1 >/tmp/linux.gz)
}

# Starts it with these disks and interfaces; with two vCPUs, both where the first one is, if there is a third word.
linux() {
    write_front 'console=hvc0 quiet' "$1" "$2"
    sed -i "s|^memory.*|memory = 192|; s|^kernel.*|kernel = '$(ls /boot/vmlinuz-* | head -1)'|" /tmp/$name.cfg
    echo "ramdisk = '/tmp/linux.gz'" >>/tmp/$name.cfg
    [ -z "$3" ] || sed -i 's|^vcpus.*|vcpus = 2|; s|^cpus = \[ \(.*\) \]|cpus = [ \1, \1 ]|' /tmp/$name.cfg
    xl create -q /tmp/$name.cfg
}
