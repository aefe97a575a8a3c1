# SPDX-License-Identifier: MIT OR Apache-2.0
# What is sent comes back, by TCP, many at once.
set -e
head -c 1000000 /dev/urandom >/tmp/sent
busybox nc 192.0.2.2 7 </tmp/sent >/tmp/back
cmp /tmp/sent /tmp/back
for connection in 1 2 3 4 5 6 7 8; do
    (busybox nc 192.0.2.2 7 </tmp/sent | cmp - /tmp/sent && touch /tmp/same$connection) &
done
wait
ls /tmp/same1 /tmp/same2 /tmp/same3 /tmp/same4 /tmp/same5 /tmp/same6 /tmp/same7 /tmp/same8
rm /tmp/same?
