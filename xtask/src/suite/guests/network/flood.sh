# SPDX-License-Identifier: MIT OR Apache-2.0
# Hosts that ask for connections and hear no answer, as forged ones do, keep nobody else out: the bridge takes
# what they send, and has nothing for them.
set -e
ip netns add absent
ip link add beside type veth peer name eth0 netns absent
ip link set beside master xenbr0 up
bridge link set dev beside learning off flood off mcast_flood off bcast_flood off
ip -n absent link set eth0 up
for host in $(seq 100 180); do ip -n absent address add 192.0.2.$host/24 dev eth0; done
ip -n absent neighbour add 192.0.2.2 lladdr 00:16:3e:00:00:02 dev eth0
before=$(cat /sys/class/net/beside/statistics/rx_packets)
ip netns exec absent sh -c '
    for host in $(seq 100 180); do busybox nc -w 60 -s 192.0.2.$host 192.0.2.2 80 </dev/null & done 2>/dev/null
    sleep 60' &
asked() { echo $(($(cat /sys/class/net/beside/statistics/rx_packets) - before)); }
until [ "$(asked)" -ge 80 ]; do sleep 0.1; done
for turn in 1 2 3; do
    curl -sS -m 20 --retry 20 --retry-delay 1 --retry-all-errors --retry-max-time 20 http://192.0.2.2/ | grep doctype
done
echo "served while $(asked) SYNs came and $(cat /sys/class/net/beside/statistics/tx_packets) packets left" | tee /tmp/told
grep -q 'and 0 packets left' /tmp/told
kill $(jobs -p) 2>/dev/null || true
