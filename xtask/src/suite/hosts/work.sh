# SPDX-License-Identifier: MIT OR Apache-2.0
# Three guests work - one serves clients of this host's, one has its disk checked, one stores - while they are moved;
# then nothing may be missing. The script that moves them has said where their consoles are (`console`), and how a
# command is run where they are in the end (`elsewhere`).
server=$1 mixer=$2 store=$3 looker=$4 sum=$5

# The load would have the toolstack wait, several times as long.
xl() {
    nice -n -10 xl "$@"
}
fail() {
    echo "$*"
    for guest in $server $mixer $store; do console $guest | tail -n 15; done
    exit 1
}
said() {
    i=0
    until console $1 | grep -q "$2"; do
        [ $i -lt 600 ] || fail "$1 never said: $2"
        sleep 1
        i=$((i + 1))
    done
}

begin() {
    for guest in $server $mixer $store; do
        xl create -q /tmp/$guest.cfg || fail "$guest is not made"
    done
    said $server ': ready'
    said $mixer 'mixing'
    said $store 'acknowledged'
}

# Clients of this host's begin: four that ask again and again, and one whose connection lives as long as they do. Waits
# until that one was answered.
begin_clients() {
    rm -f /tmp/clients_end /tmp/answered
    wrk -t 1 -c 4 -d 7200 --timeout 60s http://192.0.2.2/file.bin >/tmp/wrk 2>&1 &
    clients=$!
    python3 - >/tmp/kept 2>&1 <<'END' &
import hashlib, os, socket, time
connection = socket.create_connection(("192.0.2.2", 80), 900)
stream = connection.makefile("rb")
answers, sums = 0, set()
while not os.path.exists("/tmp/clients_end"):
    connection.sendall(b"GET /file.bin HTTP/1.1\r\nHost: guest.test\r\n\r\n")
    length = 0
    while line := stream.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    sums.add(hashlib.sha256(stream.read(length)).hexdigest())
    answers += 1
    open("/tmp/answered", "w").close()
    time.sleep(1)
print(answers, "answers", *sums)
END
    kept=$!
    i=0
    until [ -e /tmp/answered ]; do
        [ $i -lt 600 ] || fail "the client is not answered: $(cat /tmp/kept)"
        sleep 1
        i=$((i + 1))
    done
}

end_clients() {
    : >/tmp/clients_end
    wait $kept
    cat /tmp/kept
    [ "$(sed 's/.*answers //' /tmp/kept)" = $sum ] || fail "the connection did not live, or what came was not the file"
    kill -INT $clients
    wait $clients
    cat /tmp/wrk
    grep -q 'requests in' /tmp/wrk || fail 'no client was served'
    # An answer may be late (the last of the four numbers); none may be missing.
    ! grep -E 'Socket errors|Non-2xx' /tmp/wrk | grep -v 'connect 0, read 0, write 0,' || fail 'clients were refused'
}

# All three end, and what the third one has stored is looked at.
end() {
    [ "$(curl -sS -m 600 http://192.0.2.2/file.bin | sha256sum | cut -d ' ' -f 1)" = $sum ] || fail 'no new client is served'
    elsewhere "xl shutdown $mixer"
    said $mixer 'all checked'
    said $mixer 'Test result: SUCCESS'

    elsewhere "xl destroy $store"
    sleep 1 # for the last of its words to reach the file
    acknowledged=$(console $store | sed -n 's/^acknowledged \([0-9]*\)$/\1/p' | sort -n | tail -n 1)
    xl create -q /tmp/$looker.cfg || fail 'nobody looks at the store'
    said $looker 'Test result: SUCCESS'
    found=$(console $looker | sed -n 's/^found \([0-9]*\)$/\1/p')
    echo "found $found, acknowledged $acknowledged"
    [ "$found" -ge "$acknowledged" ] && [ "$acknowledged" -gt 0 ]
}
