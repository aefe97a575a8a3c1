# SPDX-License-Identifier: MIT OR Apache-2.0
# What is sent comes back: by TCP, many at once; by UDP, in datagrams of all sizes, those in fragments too.
set -e
head -c 1000000 /dev/urandom >/tmp/sent
busybox nc 192.0.2.2 7 </tmp/sent >/tmp/back
cmp /tmp/sent /tmp/back
head -c 300000 /tmp/sent >/tmp/less
for connection in 1 2 3 4 5 6 7 8; do
    (busybox nc 192.0.2.2 7 </tmp/less | cmp - /tmp/less && touch /tmp/same$connection) &
done
wait
ls /tmp/same1 /tmp/same2 /tmp/same3 /tmp/same4 /tmp/same5 /tmp/same6 /tmp/same7 /tmp/same8
rm /tmp/same?
python3 -c 'import os, socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(30)
for length in (0, 1, 64, 1472, 1473, 9000, 30000, 65507):
    sent = os.urandom(length)
    udp.sendto(sent, ("192.0.2.2", 7))
    back = udp.recv(65536)
    assert back == sent, (length, len(back))'
