# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest behind a router: its client reaches dom0 through NAT, nobody reaches its server but by what the rules say.
cat >/tmp/peer.py <<'PEER'
import socket, threading
tcp = socket.create_server(("192.0.2.1", 7))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("192.0.2.1", 7))
def datagrams():
    while True:
        datagram, peer = udp.recvfrom(65536)
        print("datagram from", peer[0], flush=True)
        udp.sendto(datagram, peer)
threading.Thread(target=datagrams, daemon=True).start()
print("listening", flush=True)
while True:
    connection, peer = tcp.accept()
    print("connection from", peer[0], flush=True)
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
PEER
python3 /tmp/peer.py >/tmp/peer.log 2>&1 &
peer=$!
until grep -q listening /tmp/peer.log || ! kill -0 $peer; do sleep 0.1; done
ip route replace 10.137.0.0/24 via 192.0.2.2
ip -6 route replace 2001:db8:1::/64 via 2001:db8::216:3eff:fe00:2
restore() {
    kill $peer
    ip route del 10.137.0.0/24
    ip -6 route del 2001:db8:1::/64
}
trap restore EXIT

front client=192.0.2.1 '' "'mac=00:16:3e:00:00:07,backend=$GUEST'" || exit 1
said 'Test result' || exit 2
cat $log /tmp/peer.log
grep -q 'network 0: .*10.137.0.2/24 by 10.137.0.1' $log || exit 3
grep -q 'Test result: SUCCESS' $log || exit 4
grep -q 'connection from 192.0.2.2' /tmp/peer.log && grep -q 'datagram from 192.0.2.2' /tmp/peer.log || exit 5
! grep 10.137 /tmp/peer.log || exit 6
echo "a guest has reached the network"

# Its address is the toolstack's this time.
front '' '' "'mac=00:16:3e:00:00:07,backend=$GUEST,ip=10.137.0.9'" || exit 7
said ': ready' || exit 8
grep -q 'network 0: .*10.137.0.9/24' $log || { cat $log; exit 9; }
# It is there within so many seconds.
echoes() { [ "$(echo hello | timeout 100 busybox nc -w $3 $1 $2)" = hello ]; }
echoes 192.0.2.2 7007 30 || exit 10
# The guest may have to ask for routers a second time, after four seconds (RFC 4861, 6.3.7).
i=0
until ping -q -c 1 -W 1 2001:db8:1:0:216:3eff:fe00:7 >/dev/null; do
    i=$((i + 1))
    [ $i -lt 90 ] || { echo 'no address of IPv6'; exit 11; }
done
echo "what a rule lets in comes in"
! echoes 10.137.0.9 7 2 || exit 12
! echoes 192.0.2.2 7 2 || exit 13
! echoes 2001:db8:1:0:216:3eff:fe00:7 7 2 || exit 14
! ping -c 1 -W 2 10.137.0.9 || exit 15
echo "nothing else does"
curl -sS -m 60 http://192.0.2.2:9100/metrics >/tmp/metrics || exit 16
grep ^prism_router /tmp/metrics
[ "$(sed -n 's/^prism_router_dropped_forbidden_packets_total //p' /tmp/metrics)" -ge 3 ] || exit 17
grep -q '^prism_router_guests 1$' /tmp/metrics || exit 18

# Other rules end what they forbid, and what was let in before them.
(echo hello; sleep 300) | timeout 300 busybox nc 192.0.2.2 7007 >/tmp/held &
until grep -q hello /tmp/held; do kill -0 $! || exit 19; sleep 0.1; done
xenstore-write /local/domain/$DOMID/data/rules 'drop=out,udp accept=in,icmp,to,2001:db8:1::/64'
i=0
until grep -qE 'data/rules: 2 rules in force, [1-9]' /var/log/xen/guest-$GUEST.log; do
    i=$((i + 1))
    [ $i -lt 600 ] || exit 20
    sleep 0.2
done
! echoes 192.0.2.2 7007 2 || exit 21
ping -c 1 -W 60 2001:db8:1:0:216:3eff:fe00:7 || exit 22
echo "other rules are in force"
xl destroy front
nothing_is_served || exit 23
