# SPDX-License-Identifier: MIT OR Apache-2.0
# A bridge where nobody speaks but dom0, which is the peer and the router. In front of this, what `meet_dom0_only` wants
# is set, and addresses along a path behind dom0: `near`, `middle`, `wide`, and `far`, `hidden` and `other` in the net
# `behind`. The same is asked of a host with nothing else to do, and of one whose processors are busy, if `quiet` and
# `busy` are set: to how many files of 8 MiB are fetched. `comes_and_goes` and `blind` ask for what is dear and the same
# for all kinds of addresses.
meet_dom0_only

# dom0 and `middle` are routers with a narrow link between them, which neither the guest nor `far` sees. On that link
# each packet is one, so that they can be counted.
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv6.conf.all.forwarding=1
for space in middle far; do
    ip netns delete $space 2>/dev/null
    ip netns add $space
    ip netns exec $space sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=0 \
        net.ipv6.conf.default.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.forwarding=1
done
ip -batch - <<END
link add narrow type veth peer name narrow netns middle
link set narrow gso_max_segs 1 up
address add $near/$length dev narrow
END
ip -n middle -batch - <<END
link add wide type veth peer name wide netns far
link set narrow gso_max_segs 1 up
address add $middle/$length dev narrow
link set wide up
address add $wide/$length dev wide
route add default via $near
route add $behind dev wide
END
ip -n far -batch - <<END
link set wide up
address add $far dev wide
address add $hidden dev wide
address add $other dev wide
route add default via $wide dev wide onlink
END
ip route add $behind via $middle
# Where the guest knows of no router, dom0 answers for `far` as if that were a neighbor.
case $behind in 10.0.0.*) sysctl -qw net.ipv4.conf.plain.proxy_arp=1 ;; esac

# How many packets go to an address of `far`, and in what time, while it fetches a file of 1 MB: at 1228 bytes each it
# has 815. The guest remembers what a path takes by its end, so that each round is another one's.
fetched_by_far() {
    packets=$(cat /sys/class/net/narrow/statistics/tx_packets)
    begun=$(date +%s%N)
    arrives 1 "$one" ip netns exec far curl -gsS -m 300 --interface "$1" "$url/one.bin" || return 1
    time=$((($(date +%s%N) - begun) / 1000000))
    packets=$(($(cat /sys/class/net/narrow/statistics/tx_packets) - packets))
}
goes_at_the_speed_of_its_path() {
    ip link set narrow mtu 1500 && ip -n middle link set narrow mtu 1500 && fetched_by_far "$1" || return 1
    usual=$time
    echo "$packets packets in $time ms through a wide path"
    ip link set narrow mtu 1280 && ip -n middle link set narrow mtu 1280 && fetched_by_far "$1" || return 1
    echo "$packets packets in $time ms through a narrow path"
    # Who waits until a timer says that something got lost does so for a second at least.
    [ "$packets" -lt 1050 ] && [ "$time" -lt $(((3 * usual + 900) * stretch / 100)) ]
}

# A client that is refused tries again; what counts is when it is served.
is_served_soon() {
    python3 -c "$flood" "$guest" || return 1
    end=$(($(date +%s) + 5 * stretch / 100))
    while [ "$(date +%s)" -lt $end ]; do
        [ "$(curl -gsS -m 3 "$url/one.bin" | sha256sum)" = "$one" ] && return 0
    done
    return 1
}

round() {
    check "$2: $1 files of 8 MiB arrive whole" arrives "$1" "$eight" curl -gsS -m 300 "$url/eight.bin"
    bears_silence "$guest" "$2"
    [ -z "$blind" ] || [ "$2" = busy ] || bears_idleness "$guest"
    check "$2: a file goes through a narrow path at its speed" goes_at_the_speed_of_its_path "$3"
    # After these others may have to ask again for some seconds, and the guest answers who is not there.
    check "$2: three hundred who ask for a connection and are not there keep nobody out" is_served_soon
}
[ -z "$quiet" ] || round "$quiet" quiet "$far"
if [ -n "$busy" ]; then
    burn
    round "$busy" busy "$other"
    check 'another domain took the processor of the guest' is_spinning
fi

if [ -n "$comes_and_goes" ]; then
    curl -gsS -m 300 --limit-rate 2M "$url/eight.bin" 2>/tmp/interrupted | sha256sum >/tmp/sum &
    download=$!
    sleep 1
    echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/unbind
    echo vif-$DOMID-0 >/sys/bus/xen-backend/drivers/vif/bind
    until ip link set vif$DOMID.0 master plain up 2>/dev/null; do sleep 0.2; done
    # What the toolstack's hotplug script says when it has done its work.
    xenstore-write /local/domain/0/backend/vif/$DOMID/0/hotplug-status connected
    wait $download
    check 'a file arrives whole though the interface went and came back' \
        sh -c "cat /tmp/interrupted; [ '$(cat /tmp/sum)' = '$eight' ]"
fi

# At 2 MB/s the file is on its way for four seconds, of which these take the first.
while_it_is_on_its_way() {
    curl -gsS -m 300 --limit-rate 2M "$url/eight.bin" 2>/tmp/slow | sha256sum >/tmp/sum &
    download=$!
    sleep 1
    "$@"
    wait $download
    cat /tmp/slow
    [ "$(cat /tmp/sum)" = "$eight" ]
}
if [ -n "$blind" ]; then
    # Nothing is told to the guest any more, and it knows nothing of the path to this client yet.
    ip rule add to $guest ipproto icmp priority 10 blackhole
    check 'a file arrives whole through a narrow path that tells nothing' \
        arrives 1 "$one" ip netns exec far curl -sS -m 300 --interface $hidden "$url/one.bin"
    ip rule delete priority 10
    bad='delay 10ms 5ms loss 1% duplicate 2% reorder 20% 50%'
    tc qdisc add dev narrow root netem $bad && tc -n far qdisc add dev wide root netem $bad || exit 1
    check 'a file arrives whole through loss, delay, duplicates and another order' \
        arrives 1 "$one" ip netns exec far curl -sS -m 300 "$url/one.bin"
    check 'a file arrives whole though the guest is paused' while_it_is_on_its_way rests
    check 'a file arrives whole though the date is set' while_it_is_on_its_way changes_the_date
    xl sched-credit2 -d $DOMID -c 20 -w 16
    check 'a file arrives whole though the guest may take a fifth of a processor' \
        arrives 1 "$eight" curl -sS -m 300 "$url/eight.bin"
fi
ip netns delete middle
ip netns delete far
sysctl -qw net.ipv6.conf.all.forwarding=0
end
