# SPDX-License-Identifier: MIT OR Apache-2.0
# A Linux whose interface is the driver domain's to serve: files are fetched from it, and what is sent to it comes back.
initramfs xen-netfront <<'END' || exit 1
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set eth0 up
ip addr add 192.0.2.60/24 dev eth0
mkdir /www
dd if=/dev/urandom of=/www/large bs=100k count=40 2>/dev/null
sha256sum /www/large | cut -c-64 >/www/sum
(while :; do nc -l -p 7 -e cat; done) &
echo "linux: ready"
httpd -f -h /www
END
linux '' "'mac=00:16:3e:00:00:07,backend=$GUEST'" || exit 2
said 'linux: ready' || exit 3
fetch() { curl -sS -m 100 --retry 5 --retry-all-errors "$@"; }
for time in 1 2; do
    fetch -o /tmp/fetched http://192.0.2.60/large || exit 4
    [ "$(sha256sum /tmp/fetched | cut -c-64)" = "$(fetch http://192.0.2.60/sum)" ] || exit 5
done
head -c 3000000 /dev/urandom >/tmp/sent
timeout 100 busybox nc 192.0.2.60 7 </tmp/sent | cmp - /tmp/sent || exit 6
ping -c 3 -W 10 -s 8000 192.0.2.60 || exit 7
echo "linux has sent and received"
