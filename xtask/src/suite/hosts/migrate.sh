# SPDX-License-Identifier: MIT OR Apache-2.0
# Three guests migrate to the other host and back, five times in all, while they work: one serves clients of this
# host's, one has its disk checked, one stores. Then nothing may be missing.
server=$1 mixer=$2 store=$3 looker=$4 sum=$5
here=198.51.100.1 there=198.51.100.2

fail() {
    echo "$*"
    for guest in $server $mixer $store; do console $guest | tail -n 15; done
    exit 1
}

# What a guest has said on both hosts.
console() {
    logs="/var/log/xen/guest-$1.log /var/log/xen/guest-$1--incoming.log"
    { cat $logs 2>/dev/null; /tmp/wire $there "cat $logs 2>/dev/null" </dev/null; } | tr -d '\r'
}
said() {
    i=0
    until console $1 | grep -q "$2"; do
        [ $i -lt 120 ] || fail "$1 never said: $2"
        sleep 1
        i=$((i + 1))
    done
}

move() {
    if [ $(($round % 2)) -eq 1 ]; then
        xl migrate -s /tmp/wire $1 $there >/tmp/moved 2>&1 || fail "round $round: $(cat /tmp/moved)"
    else
        moved=$(/tmp/wire $there "xl migrate -s /tmp/wire $1 $here 2>&1 && echo moved" </dev/null)
        [ "${moved%moved}" != "$moved" ] || fail "round $round: $moved"
    fi
}

for guest in $server $mixer $store; do
    xl create -q /tmp/$guest.cfg || fail "$guest is not made"
done
said $server ': ready'
said $mixer 'mixing'
said $store 'acknowledged'
wrk -t 1 -c 4 -d 3600 --timeout 100s http://192.0.2.2/file.bin >/tmp/wrk 2>&1 &
clients=$!
python3 - >/tmp/kept 2>&1 <<'END' &
import hashlib, os, socket, time
connection = socket.create_connection(("192.0.2.2", 80), 100)
stream = connection.makefile("rb")
answers, sums = 0, set()
while not os.path.exists("/tmp/all_moved"):
    connection.sendall(b"GET /file.bin HTTP/1.1\r\nHost: guest.test\r\n\r\n")
    length = 0
    while line := stream.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    sums.add(hashlib.sha256(stream.read(length)).hexdigest())
    answers += 1
    time.sleep(1)
print(answers, "answers", *sums)
END
kept=$!
for round in 1 2 3 4 5; do
    for guest in $server $mixer $store; do move $guest; done
    echo "round $round: $(console $store | grep -c acknowledged) acknowledged"
done

: >/tmp/all_moved
wait $kept
cat /tmp/kept
[ "$(sed 's/.*answers //' /tmp/kept)" = $sum ] || fail "the connection did not live, or what came was not the file"
kill -INT $clients
wait $clients
cat /tmp/wrk
grep -q 'requests in' /tmp/wrk || fail 'no client was served'
! grep -E 'Socket errors|Non-2xx' /tmp/wrk || fail 'clients were refused'
[ "$(curl -sS -m 60 http://192.0.2.2/file.bin | sha256sum | cut -d ' ' -f 1)" = $sum ] || fail 'no new client is served'
/tmp/wire $there "xl shutdown $mixer" </dev/null
said $mixer 'all checked'
said $mixer 'Test result: SUCCESS'

/tmp/wire $there "xl destroy $store" </dev/null
sleep 1 # for the last of its words to reach the file
acknowledged=$(console $store | sed -n 's/^acknowledged \([0-9]*\)$/\1/p' | sort -n | tail -n 1)
xl create -q /tmp/$looker.cfg || fail 'nobody looks at the store'
said $looker 'Test result: SUCCESS'
found=$(console $looker | sed -n 's/^found \([0-9]*\)$/\1/p')
echo "found $found, acknowledged $acknowledged"
[ "$found" -ge "$acknowledged" ] && [ "$acknowledged" -gt 0 ]
