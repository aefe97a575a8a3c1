# SPDX-License-Identifier: MIT OR Apache-2.0
# A neighbour's packets to groups that the guest is not in are kept from it, and those to its own are not,
# even after a new start of the backend. The backend lets its own domain's through: so the neighbour is apart.
set -e
ip netns add apart
ip link add beside type veth peer name eth0 netns apart
ip link set beside master xenbr0 up
ip -n apart link set eth0 up
ip -n apart address add 192.0.2.77/24 dev eth0
neighbour() { ip netns exec apart "$@"; }
received() {
    curl -sS -m 120 http://192.0.2.2/metrics | sed -n 's/^prism_network_received_packets //p'
}
# The guest is found by a packet to its group.
is_found() {
    neighbour ip neighbour flush dev eth0
    i=0
    until neighbour ping -q -c 1 -W 1 fe80::216:3eff:fe00:2%eth0 >/dev/null; do
        i=$((i + 1))
        [ $i -lt 90 ] || { echo "not found $1"; exit 1; }
    done
}
is_left_alone() {
    before=$(received)
    neighbour ping -q -f -c 200 -W 1 -I eth0 239.1.2.3 >/dev/null || true
    more=$(($(received) - before))
    [ $more -lt 100 ] || { echo "$more packets $1"; exit 1; }
}
is_found 'at first'
is_left_alone 'at first'
xl network-detach $DOMID 0
xl network-attach $DOMID mac=00:16:3e:00:00:02 bridge=xenbr0
is_found later
is_left_alone later
ip netns delete apart
echo 'only its own groups'
