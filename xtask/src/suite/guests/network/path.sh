# SPDX-License-Identifier: MIT OR Apache-2.0
# A peer is two routers away, and the network between those takes less than the others. It gets all that it asks for, and
# soon: the first router tells the guest what is too big.
set -e
ip netns add router
ip netns add far
ip link add near0 type veth peer name west0 netns router
ip -n router link add east0 type veth peer name eth0 netns far
ip address add 198.51.100.1/30 dev near0
ip -n router address add 198.51.100.2/30 dev west0
ip -n router address add 203.0.113.1/24 dev east0
ip -n far address add 203.0.113.2/24 dev eth0
ip link set near0 mtu 1280 up
ip -n router link set west0 mtu 1280 up
ip -n router link set east0 up
ip -n far link set eth0 up
ip route add 203.0.113.0/24 via 198.51.100.2
ip -n router route add default via 198.51.100.1
ip -n far route add default via 203.0.113.1
forwards=$(cat /proc/sys/net/ipv4/ip_forward)
echo 1 >/proc/sys/net/ipv4/ip_forward
ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
head -c 1000000 /dev/urandom >/tmp/sent
for round in 1 2; do
    timeout 20 ip netns exec far busybox nc 192.0.2.2 7 </tmp/sent >/tmp/back
    cmp /tmp/sent /tmp/back
done
echo "$forwards" >/proc/sys/net/ipv4/ip_forward
ip netns delete far
ip netns delete router
