# SPDX-License-Identifier: MIT OR Apache-2.0
# A Linux with two vCPUs has two queues, and packets of different flows come through both.
initramfs xen-netfront <<'END' || exit 1
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set eth0 up
ip addr add 192.0.2.60/24 dev eth0
mkdir /www
dd if=/dev/urandom of=/www/large bs=100k count=10 2>/dev/null
sha256sum /www/large | cut -c-64 >/www/sum
(while :; do nc -l -p 9 -e cat /proc/interrupts; done) &
echo "linux: ready"
httpd -f -h /www
END
linux '' "'mac=00:16:3e:00:00:07,backend=$GUEST'" smp || exit 2
said 'linux: ready' || exit 3
[ "$(xenstore-read /local/domain/$(xl domid front)/device/vif/0/multi-queue-num-queues)" = 2 ] || exit 4
fetch() { curl -sS -m 100 --retry 5 --retry-all-errors "$@"; }
sum=$(fetch http://192.0.2.60/sum)
for flow in 1 2 3 4 5 6 7 8; do
    fetch -o /tmp/fetched.$flow http://192.0.2.60/large &
done
wait
for flow in 1 2 3 4 5 6 7 8; do
    [ "$(sha256sum /tmp/fetched.$flow | cut -c-64)" = "$sum" ] || exit 5
done
timeout 100 busybox nc 192.0.2.60 9 </dev/null >/tmp/interrupts
grep vif0 /tmp/interrupts
for queue in 0 1; do
    awk -v queue=vif0-q$queue-rx '$NF == queue { count = $2 + $3 } END { exit count < 10 }' /tmp/interrupts || { cat /tmp/interrupts; exit 6; }
done
echo "both queues are used"
