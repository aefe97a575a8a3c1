# SPDX-License-Identifier: MIT OR Apache-2.0
# The guest serves an ext4 partition that has a file of 256 MiB.
f=/tmp/site.img
rm -f $f; truncate -s 300M $f; mke2fs -q -t ext4 -b 4096 -E offset=1048576 $f 298M
# The first partition: ext4 from 1 MiB to the end.
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\120\011\0' | dd of=$f bs=1 seek=446 conv=notrunc 2>/dev/null
printf '\125\252' | dd of=$f bs=1 seek=510 conv=notrunc 2>/dev/null
mkdir -p /tmp/site; mount -o loop,offset=1048576 $f /tmp/site
head -c 1048568 /dev/urandom >/tmp/block
i=0
while [ $i -lt 256 ]; do printf %08d $i; cat /tmp/block; i=$((i + 1)); done | tee /tmp/site/large | sha256sum >/tmp/sum
umount /tmp/site
start $f
is "$(fetch -m 300 http://192.0.2.2/large | sha256sum)" "$(cat /tmp/sum)"
fetch http://192.0.2.2/metrics | grep 'prism_network_sent\|prism_http_sent'
echo "256 MiB are the same"
xl shutdown $DOMID
