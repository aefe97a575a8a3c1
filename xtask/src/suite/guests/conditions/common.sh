# SPDX-License-Identifier: MIT OR Apache-2.0
# What tests of unkind conditions share: a bridge where nobody but dom0 itself speaks, a file on a loop device, and
# checks that are all made, one after the other, and told by name.
failed=0
burners=
spins_since=
log=/var/log/xen/guest-$GUEST.log
# How much longer than it should something may take, in percent. A host that has other things to do, as one that runs
# tests has, must not make a test fail: what waits for nothing takes much longer still. `strict` allows nothing more.
stretch=${strict:+100}
stretch=${stretch:-400}
# A guest that is not let run would be there until its time limit, and what keeps the host busy for ever.
trap 'status=$?; leave_the_host_alone; [ $status -eq 0 ] || xl destroy $DOMID 2>/dev/null' EXIT

check() {
    what=$1
    shift
    asked=$(cut -d. -f1 /proc/uptime)
    if "$@" >/tmp/check 2>&1; then
        echo "ok: $what ($(($(cut -d. -f1 /proc/uptime) - asked)) s)"
    else
        echo "FAILED: $what: $(tail -n 1 /tmp/check)"
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

# A bridge where nobody speaks but dom0: no router advertisements, and no DHCP but what `lease`, a DHCP option about
# routers, asks for. The addresses are `guest` and `host`, their prefix is of `length`. Sets `url`.
meet_dom0_only() {
    bridge $host/$length
    if [ -n "$lease" ]; then
        rm -f /run/plain.leases
        dnsmasq --interface=plain --bind-interfaces --except-interface=lo --no-resolv --no-hosts --user=root --port=0 \
            --dhcp-range=10.0.0.2,10.0.0.2,5m --dhcp-option="$lease" --dhcp-leasefile=/run/plain.leases \
            --pid-file=/run/plain.pid || exit 1
    fi
    site
    connect
    case $guest in *:*) url="http://[$guest]" ;; *) url="http://$guest" ;; esac
    begin "$url"
}

# Lets the guest, which has got its interface, run, and waits until it answers at this address.
begin() {
    xl unpause $DOMID
    for second in $(seq 180); do
        curl -gsI -m 2 "$1/one.bin" >/dev/null && return
        sleep 1
    done
    echo "it does not answer: $(tail -n 20 "$log")"
    xl destroy $DOMID
    exit 1
}

# Takes dom0's processor by two loops, and the guest's by another domain, which does nothing else.
burn() {
    for burner in 1 2; do
        (while :; do :; done) &
        burners="$burners $!"
    done
    python3 -c "$spinner" >/tmp/spinner.elf
    echo 'name="spinner" type="pv" memory=8 vcpus=1 cpus="1" kernel="/tmp/spinner.elf"' | tr ' ' '\n' >/tmp/spinner.cfg
    xl create -q /tmp/spinner.cfg || exit 1
    spins_since=$(cut -d. -f1 /proc/uptime)
}

# Gives the processors back: dom0's first, as what it has to do for the other one takes it long without.
leave_the_host_alone() {
    [ -z "$burners" ] || kill $burners
    burners=
    [ -z "$spins_since" ] || xl destroy spinner
    spins_since=
} 2>/dev/null

# Whether the other domain has run for more than a third of the time, as it does only if it always wants to.
is_spinning() {
    xl list spinner
    spun=$(xl list spinner | awk 'END { printf "%d", $NF }')
    lasted=$(($(cut -d. -f1 /proc/uptime) - spins_since))
    echo "$spun s of $lasted s"
    [ "$spun" -gt 0 ] && [ $((3 * spun)) -ge "$lasted" ]
}

# Has the guest not run for two seconds.
rests() {
    xl pause $DOMID
    sleep 2
    xl unpause $DOMID
}

# Sets dom0's date ahead by a day, then back by two, and then right.
changes_the_date() {
    for days in 1 -2 1; do
        date -s "@$(($(date +%s) + 86400 * days))"
        sleep 0.5
    done
}

# A PV kernel of one instruction, which jumps to itself: an ELF header, a segment, the notes that Xen asks for.
spinner='
import struct, sys
def note(kind, value):
    return struct.pack("<III4s", 4, len(value), kind, b"Xen") + value
base, code = 0x100000, 64 + 2 * 56
number = lambda value: struct.pack("<Q", value)
notes = note(1, number(base + code)) + note(3, number(0)) + note(4, number(0))
notes += note(5, b"xen-3.0\0") + note(8, b"generic\0")
size = code + 8 + len(notes)
def segment(kind, start, size):
    return struct.pack("<IIQQQQQQ", kind, 7, start, base + start, base + start, size, size, 8)
head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + code, 64, 0, 0, 64, 56, 2, 64, 0, 0)
sys.stdout.buffer.write(head + segment(1, 0, size) + segment(4, code + 8, len(notes)) + b"\xeb\xfe" + bytes(6) + notes)
'

# Ends the guest, and with it the test.
end() {
    leave_the_host_alone
    if [ $failed -eq 0 ]; then xl shutdown $DOMID; else xl destroy $DOMID; fi
    [ -z "$lease" ] || kill "$(cat /run/plain.pid)"
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
    served=$(entries_during curl -gsS -m 60 -o /dev/null "http://$host/one.bin")
    echo "$idled entries in ten seconds, $served for a file"
    [ "$served" -gt 0 ] && [ "$idled" -le $((${2:-12} * stretch / 100)) ]
}

# What a connection costs on which nothing is said, by the entries into Xen.
bears_idleness() {
    python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 80), 20).recv(1)' "$1" &
    idle=$!
    sleep 1
    check 'ten seconds with an idle connection take no more entries than neighbours ask for' is_idle "$@"
    wait $idle
}

# What the guest owes to whoever connects to it and says too little or nothing, while nothing else is asked of it.
# This lasts until it has looked for routers in vain.
bears_silence() {
    python3 -c "$silence" "$1" $DOMID $stretch >/tmp/silence 2>&1
    for owed in half idle cost; do
        check "$2: $(sed -n "s/^$owed: //p" /tmp/silence)" owes $owed
    done
}
owes() {
    grep -q "^$1 holds" /tmp/silence || { cat /tmp/silence; return 1; }
}

# The limits are 15 and 10 seconds, to which a busy host adds; what it costs is taken from the ten seconds between
# the fourth and the fourteenth. Who never sleeps takes a third of them at least, as another domain does meanwhile.
silence='
import ctypes, socket, sys, time
stretch = int(sys.argv[3]) / 100
stat = ctypes.CDLL("libxenstat.so.4.20")
stat.xenstat_init.restype = stat.xenstat_get_node.restype = stat.xenstat_node_domain.restype = ctypes.c_void_p
stat.xenstat_domain_cpu_ns.restype = ctypes.c_ulonglong
stat.xenstat_get_node.argtypes = [ctypes.c_void_p, ctypes.c_uint]
stat.xenstat_node_domain.argtypes = [ctypes.c_void_p, ctypes.c_uint]
stat.xenstat_domain_cpu_ns.argtypes = [ctypes.c_void_p]
handle = stat.xenstat_init()
def taken():
    domain = stat.xenstat_node_domain(stat.xenstat_get_node(handle, 0), int(sys.argv[2]))
    return stat.xenstat_domain_cpu_ns(domain) / 1e9
def tell(name, what, holds):
    print("%s: %s" % (name, what))
    if holds: print(name, "holds", flush=True)
half, idle = (socket.create_connection((sys.argv[1], 80), 20) for time_of in range(2))
begun = time.monotonic()
passed = lambda: time.monotonic() - begun
half.sendall(b"GET / HTTP/1.1\r\nHo")
for peer in half, idle: peer.settimeout(60)
time.sleep(4)
before, since = taken(), passed()
answer = half.recv(1000)
is_right = answer.startswith(b"HTTP/1.1 408 ") and 9 < passed() < 10 + 5 * stretch
tell("half", "half a request is answered by 408 after %.1f s" % passed(), is_right)
time.sleep(max(0, since + 10 - passed()))
cost, lasted = taken() - before, passed() - since
tell("cost", "%.1f s with an idle connection cost %.3f s of CPU" % (lasted, cost), cost < 0.2 * stretch)
answer = idle.recv(1000)
tell("idle", "an idle connection is closed after %.1f s" % passed(), answer == b"" and 14 < passed() < 15 + 5 * stretch)
'

# Half of those who ask for a connection seem to be on the link, half behind the router. None is there. They are more
# than twice as many as the guest has places for, those that wait included.
flood='
import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("plain", 0))
six = ":" in sys.argv[1]
family, places = (socket.AF_INET6, ("fd00::1:%x", "fd99::%x")) if six else (socket.AF_INET, ("10.0.0.%d", "10.99.0.%d"))
guest = socket.inet_pton(family, sys.argv[1])
for host in range(300):
    source = socket.inet_pton(family, places[host % 2] % (100 + host // 2))
    tcp = struct.pack("!HHIIHHHH", 5000 + host, 80, 77 * host, 0, 0x5002, 64240, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", checksum(source + guest + struct.pack("!II", len(tcp), 6) + tcp)) + tcp[18:]
    ip = struct.pack("!IHBB", 0x60000000, len(tcp), 6, 64)
    if not six:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), host, 0, 64, 6, 0)
        ip = ip[:10] + struct.pack("!H", checksum(ip + source + guest))
    kind = b"\x86\xdd" if six else b"\x08\0"
    wire.send(bytes.fromhex("00163e000002") + b"\2\0\0\0\0" + bytes([host % 256]) + kind + ip + source + guest + tcp)
'
