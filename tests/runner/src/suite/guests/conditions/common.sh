# SPDX-License-Identifier: MIT OR Apache-2.0
# What tests of unkind conditions share: a bridge where nobody but dom0 itself speaks, a file on a loop device, and
# checks that are all made, one after the other, and told by name.
failed=0
burners=
said=/var/log/xen/guest-$GUEST.log
# A guest that is not let run would be there until its time limit.
trap '[ $? -eq 0 ] || xl destroy $DOMID 2>/dev/null' EXIT

check() {
    what=$1
    shift
    if "$@" >/tmp/check 2>&1; then
        echo "ok: $what"
    else
        echo "FAILED: $what"
        tail -n 5 /tmp/check
        failed=1
    fi
}

# A bridge with these addresses of dom0's. It speaks IPv6 only if it has an address of its own.
bridge() {
    ip link delete plain 2>/dev/null
    sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    ip link add plain type bridge
    for address; do
        case $address in *:*) sysctl -qw net.ipv6.conf.plain.disable_ipv6=0 net.ipv6.conf.plain.accept_dad=0 ;; esac
        ip address add "$address" dev plain
    done
    ip link set plain up
}

# An ext4 with a file of 8 MiB and one of 1 MB, a disk of the guest's on a loop device.
site() {
    rm -rf /tmp/eight /tmp/eight.img
    mkdir /tmp/eight
    head -c 8388608 /dev/urandom >/tmp/eight/eight.bin
    head -c 1000000 /tmp/eight/eight.bin >/tmp/eight/one.bin
    eight=$(sha256sum </tmp/eight/eight.bin)
    one=$(sha256sum </tmp/eight/one.bin)
    truncate -s 24M /tmp/eight.img
    mke2fs -q -t ext4 -d /tmp/eight /tmp/eight.img
    rm -rf /tmp/eight
    xl block-attach $DOMID format=raw,vdev=${1:-xvda},access=r,target="$(losetup -f --show /tmp/eight.img)"
}

connect() {
    xl network-attach $DOMID mac=00:16:3e:00:00:02 bridge=plain
}

# Lets the guest, which has got its interface, run, and waits until it answers at this address.
begin() {
    xl unpause $DOMID
    for second in $(seq 60); do
        curl -gsI -m 2 "http://$1/one.bin" >/dev/null && return
        sleep 1
    done
    echo "it does not answer: $(tail -n 3 "$said")"
    xl destroy $DOMID
    exit 1
}

# Takes dom0's processor, and the guest's as far as the scheduler lets it.
burn() {
    for burner in 1 2; do
        (while :; do :; done) &
        burners="$burners $!"
    done
}

# Ends the guest, and with it the test.
end() {
    [ -z "$burners" ] || kill $burners
    if [ $failed -eq 0 ]; then xl shutdown $DOMID; else xl destroy $DOMID; fi
    losetup -D
    exit $failed
}

# Whether what a command fetches is whole that often.
arrives() {
    times=$1
    sum=$2
    shift 2
    for time in $(seq "$times"); do
        [ "$("$@" | sha256sum)" = "$sum" ] || { echo "not at time $time"; return 1; }
    done
}

# How often the guest entered Xen while a command ran, other than for the machine's own interrupts: its
# hypercalls, or a domain's exits that is not PV.
entries_during() {
    xentrace -D -S 1024 -e 0x0ffff000 /tmp/trace &
    tracer=$!
    sleep 1
    "$@"
    kill -INT $tracer
    wait $tracer
    xenalyze -s /tmp/trace 2>/dev/null | awk -v head="|-- Domain $DOMID --|" '
        index($0, "|-- Domain ") { inside = index($0, head) }
        inside && ($1 == "hypercall" || $1 ~ /^VMEXIT_/ && $1 != "VMEXIT_INTR") { sum += $2 }
        END { print sum + 0 }'
    rm -f /tmp/trace
}

# Whether ten seconds cost nothing but what the neighbours ask for. A guest with a clock that ticks would need a
# thousand entries. Allowed is the answer to one of dom0's questions for the guest's hardware address, which it
# asks when it has not heard of it for long (`delay_first_probe_time`), by IPv4 and IPv6: for each a sleep that
# ends, a notification, a timer that is set, the next sleep, and the backend's word that the packet has left.
# Nothing else is due: looking for routers has ended after three questions (RFC 4861, 6.3.7), a fixed address has
# no lease, and neither side of the connection probes it within its limit of 15 seconds. A machine where more is
# due says how much.
is_idle() {
    idled=$(entries_during sleep 10)
    case $1 in *:*) host="[$1]" ;; *) host=$1 ;; esac
    served=$(entries_during curl -gsS -m 10 -o /dev/null "http://$host/one.bin")
    echo "$idled entries in ten seconds, $served for a file"
    [ "$served" -gt 0 ] && [ "$idled" -le "${2:-12}" ]
}

# What the guest owes to whoever connects to it and says too little. This lasts until it has looked for routers in vain.
bears_half_a_request() {
    check 'half a request is answered by 408' python3 -c "$silence" half "$1"
}

# What it owes to whoever says nothing. It may be told how many entries into Xen more than usual is due meanwhile.
bears_silence() {
    python3 -c "$silence" idle "$1" >/tmp/idle 2>&1 &
    idle=$!
    sleep 1
    check 'ten seconds with an idle connection cost nothing' is_idle "$@"
    wait $idle
    idle=$?
    check 'an idle connection is closed after its limit' sh -c "cat /tmp/idle; exit $idle"
}

# Its limits are 15 and 10 seconds; a busy machine has more.
silence='
import socket, sys
peer = socket.create_connection((sys.argv[2], 80), 20)
peer.settimeout(45)
if sys.argv[1] == "half":
    peer.sendall(b"GET / HTTP/1.1\r\nHo")
    answer = peer.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
else:
    answer = peer.recv(1000)
    assert answer == b"", answer
'
