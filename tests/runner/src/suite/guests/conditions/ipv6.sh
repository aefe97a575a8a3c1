# SPDX-License-Identifier: MIT OR Apache-2.0
# A static IPv6 address, and no IPv4, no router advertisements. Behind dom0, the router, lies a path that carries
# 1280 bytes.
bridge fd00::1/64
site
connect
begin '[fd00::2]'
bears_half_a_request fd00::2

check 'five files of 8 MiB arrive whole' arrives 5 "$eight" curl -gsS -m 60 'http://[fd00::2]/eight.bin'
bears_silence fd00::2

# As `alone.sh` does.
sysctl -qw net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1
for space in middle far; do
    ip netns delete $space 2>/dev/null
    ip netns add $space
    ip netns exec $space sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
        net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1
done
ip link add narrow type veth peer name narrow netns middle
ip -n middle link add wide type veth peer name wide netns far
ip link set narrow mtu 1280 up && ip address add fd06::1/64 dev narrow nodad
ip -n middle link set narrow mtu 1280 up && ip -n middle address add fd06::2/64 dev narrow nodad
ip -n middle link set wide up && ip -n middle address add fd07::1/64 dev wide nodad
ip -n far link set wide up && ip -n far address add fd07::2/64 dev wide nodad
ip route add fd07::/64 via fd06::2
ip -n middle route add default via fd06::1
ip -n far route add default via fd07::1
check 'a file arrives whole through a narrow path' \
    arrives 1 "$one" ip netns exec far curl -gsS -m 60 'http://[fd00::2]/one.bin'
ip netns delete middle
ip netns delete far
sysctl -qw net.ipv6.conf.all.forwarding=0
end
