# SPDX-License-Identifier: MIT OR Apache-2.0
# A static address on a bridge where nobody speaks but dom0, which is the peer and the router: no router
# advertisements, no DHCP. Behind it lies a path that carries 1280 bytes.
bridge 10.0.0.1/24
site
connect
begin 10.0.0.2
bears_half_a_request 10.0.0.2

check 'twenty files of 8 MiB arrive whole' \
    arrives 20 "$eight" curl -sS -m 60 http://10.0.0.2/eight.bin
bears_silence 10.0.0.2

# Half of those who ask for a connection seem to be on the link, half behind the router. None is there.
flood='
import socket, struct
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("plain", 0))
guest = socket.inet_aton("10.0.0.2")
for host in range(80):
    source = socket.inet_aton("10.0.0.%d" % (100 + host) if host % 2 else "10.99.0.%d" % (1 + host))
    tcp = struct.pack("!HHIIHHHH", 5000 + host, 80, 77 * host, 0, 0x5002, 64240, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", checksum(source + guest + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), host, 0, 64, 6, 0) + source + guest
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    wire.send(bytes.fromhex("00163e000002") + b"\2\0\0\0\0" + bytes([host]) + b"\x08\0" + ip + tcp)
'
# A client that is refused tries again; what counts is when it is served.
is_served_soon() {
    python3 -c "$flood" || return 1
    end=$(($(date +%s) + 10))
    while [ "$(date +%s)" -lt $end ]; do
        [ "$(curl -sS -m 3 http://10.0.0.2/one.bin | sha256sum)" = "$one" ] && return 0
        sleep 0.3
    done
    return 1
}
check 'eighty who ask for a connection and are not there keep nobody out' is_served_soon

# dom0 and `middle` are routers with a narrow link between them, which neither the guest nor `far` sees.
sysctl -qw net.ipv4.ip_forward=1
for space in middle far; do ip netns delete $space 2>/dev/null; ip netns add $space; done
ip link add narrow type veth peer name narrow netns middle
ip -n middle link add wide type veth peer name wide netns far
ip link set narrow mtu 1280 up && ip address add 10.6.0.1/24 dev narrow
ip -n middle link set narrow mtu 1280 up && ip -n middle address add 10.6.0.2/24 dev narrow
ip -n middle link set wide up && ip -n middle address add 10.7.0.1/24 dev wide
ip -n far link set wide up && ip -n far address add 10.7.0.2/24 dev wide
ip route add 10.7.0.0/24 via 10.6.0.2
ip -n middle route add default via 10.6.0.1
ip -n far route add default via 10.7.0.1
ip netns exec middle sysctl -qw net.ipv4.ip_forward=1
check 'a file arrives whole through a narrow path that tells of itself' \
    arrives 1 "$one" ip netns exec far curl -sS -m 60 http://10.0.0.2/one.bin
# Nothing is told to the guest any more, and it knows nothing of the path to this client yet.
ip rule add to 10.0.0.2 ipproto icmp priority 10 blackhole
ip -n far address add 10.7.0.3/24 dev wide
check 'a file arrives whole through a narrow path that tells nothing' \
    arrives 1 "$one" ip netns exec far curl -sS -m 100 --interface 10.7.0.3 http://10.0.0.2/one.bin
ip rule delete priority 10
ip netns delete middle
ip netns delete far
end
