# SPDX-License-Identifier: MIT OR Apache-2.0
# A connection that is used before, meanwhile and after, one with half a request, and a download under way: all
# outlive it. Who has sent half a request gets the file if the other half comes within the 10 seconds that the server
# waits, in which the guest's time stands still, or else is told so: how long the guest runs until it is saved is the
# host's choice. What others keep for it is what they kept before, and neighbours are told of it. A disk that is
# attached afterwards is found. With `fixed` the guest has a fixed address, and none of IPv6.
address=192.0.2.2
: ${moves:=save_and_restore}
curl -sS -m 100 --limit-rate 40k -o /tmp/$GUEST.slow http://$address/file.bin &
download=$!
mkfifo /tmp/$GUEST.go /tmp/$GUEST.there
python3 - $address /tmp/$GUEST.go /tmp/$GUEST.there <<'END' &
import hashlib, select, socket, sys, threading, time
address, go, there = sys.argv[1:]

def answer(connection):
    """The status and the sum of what is answered."""
    stream = connection.makefile("rb")
    status = stream.readline().split()[1]
    length = 0
    while (line := stream.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, hashlib.sha256(stream.read(length)).hexdigest()

kept = socket.create_connection((address, 80), 60)
began = time.monotonic()
half = socket.create_connection((address, 80), 60)
request = b"GET /file.bin HTTP/1.1\r\nHost: guest.test\r\n\r\n"
kept.sendall(request)
before = answer(kept)
half.sendall(request[:20])
open(there, "w").close()
done = threading.Event()
threading.Thread(target=lambda: (open(go).close(), done.set())).start()
while not done.wait(1):
    kept.sendall(request)
    assert answer(kept) == before
print("before", before[1])
waited = time.monotonic() - began
if not select.select([half], [], [], 0)[0]:
    half.sendall(request[20:])
told = answer(half)
print("half", "answered" if told == before or told[0] == b"408" and waited > 10 else f"{told} after {waited} s")
kept.sendall(request)
print("kept", answer(kept)[1])
END
client=$!
cat /tmp/$GUEST.there
before=$(kept)
tcpdump -l -n -i xenbr0 arp or icmp6 >/tmp/neighbours 2>/dev/null &
neighbours=$!
for move in $moves; do $move || exit 1; done
: >/tmp/$GUEST.go
keeps_no_more_than "$before" || exit 1
is_announced() {
    i=0
    until grep "$1" /tmp/neighbours; do
        [ $i -lt 240 ] || { cat /tmp/neighbours; echo "nobody is told: $1"; exit 1; }
        sleep 0.5
        i=$((i + 1))
    done
}
is_announced 'who-has 192.0.2.2 tell 192.0.2.2\|Announcement 192.0.2.2'
[ -n "$fixed" ] || is_announced '> ff02::1: ICMP6, neighbor advertisement'
kill $neighbours
wait $client || exit 1
wait $download || { echo "the download broke off"; exit 1; }
echo slow $(sha256sum </tmp/$GUEST.slow)
echo new $(curl -sS -m 120 http://$address/file.bin | sha256sum)
truncate -s 1M /tmp/$GUEST.late
xl block-attach $GUEST format=raw,vdev=xvdb,access=r,target=/tmp/$GUEST.late && said "disk xvdb: "
