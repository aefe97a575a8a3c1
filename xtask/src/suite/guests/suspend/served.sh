# SPDX-License-Identifier: MIT OR Apache-2.0
# A connection that is used before, meanwhile and after, one with half a request, and a download under way: all
# outlive it. A guest that migrates runs on for longer than the server waits for the other half. A disk that is
# attached afterwards is found.
address=192.0.2.2
: ${moves:=save_and_restore} ${half:=half}
curl -sS -m 100 --limit-rate 40k -o /tmp/$GUEST.slow http://$address/file.bin &
download=$!
mkfifo /tmp/$GUEST.go /tmp/$GUEST.there
python3 - $address /tmp/$GUEST.go /tmp/$GUEST.there $half <<'END' &
import hashlib, socket, sys, threading
address, go, there, with_half = sys.argv[1:]

def answer(connection):
    """The sum of what is answered."""
    stream = connection.makefile("rb")
    length = 0
    while (line := stream.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return hashlib.sha256(stream.read(length)).hexdigest()

kept = socket.create_connection((address, 80), 60)
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
print("before", before)
if with_half == "half":
    half.sendall(request[20:])
    print("half", answer(half))
kept.sendall(request)
print("kept", answer(kept))
END
client=$!
cat /tmp/$GUEST.there
for move in $moves; do $move || exit 1; done
: >/tmp/$GUEST.go
wait $client || exit 1
wait $download || { echo "the download broke off"; exit 1; }
echo slow $(sha256sum </tmp/$GUEST.slow)
echo new $(curl -sS -m 60 http://$address/file.bin | sha256sum)
truncate -s 1M /tmp/$GUEST.late
xl block-attach $GUEST format=raw,vdev=xvdb,access=r,target=/tmp/$GUEST.late && said "disk xvdb: "
