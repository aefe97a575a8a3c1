# SPDX-License-Identifier: MIT OR Apache-2.0
# What the guest sends is captured twice: with the backend filling checksums in, when they are blank where
# tcpdump sees them, and without.
capture() {
    timeout 60 tcpdump -i vif$DOMID.0 -n -vv -c 24 'src host 192.0.2.2 and (tcp or udp)' >/tmp/captured 2>/tmp/tcpdump &
    said listening /tmp/tcpdump || exit 1
    python3 -c 'import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(30)
for length in range(1, 20):
    udp.sendto(bytes(length), ("192.0.2.2", 7))
    assert udp.recv(2000) == bytes(length)' || exit 1
    head -c 100000 /dev/urandom >/tmp/sent
    busybox nc 192.0.2.2 7 </tmp/sent | cmp - /tmp/sent || { echo "damaged"; exit 1; }
    wait
    grep -q UDP /tmp/captured && grep -q 'Flags' /tmp/captured || { echo "not captured"; cat /tmp/tcpdump; exit 1; }
}
capture
grep -q 'incorrect\|bad udp cksum' /tmp/captured && echo "blank at first"
xenstore-write /local/domain/0/backend/vif/$DOMID/0/feature-no-csum-offload 1
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/unbind
echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/bind
i=0
until ip link set vif$DOMID.0 master xenbr0 up 2>/dev/null; do
    sleep 0.2; i=$((i + 1)); [ $i -lt 600 ] || break
done
xenstore-write /local/domain/0/backend/vif/$DOMID/0/hotplug-status connected
i=0
until ping -q -c 1 -W 1 192.0.2.2 >/dev/null; do i=$((i + 1)); [ $i -lt 90 ] || exit 1; done
capture
! grep 'incorrect\|bad udp cksum' /tmp/captured || exit 1
grep -c 'cksum 0x[0-9a-f]* (correct)' /tmp/captured || exit 1
grep -c 'udp sum ok' /tmp/captured || exit 1
echo "right without offload"
