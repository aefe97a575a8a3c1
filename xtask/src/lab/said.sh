#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# said [-t SECONDS] PATTERN [FILE...]
#
# Waits until a line of a file matches grep's pattern; by default a file with what guest $GUEST has written to its
# console, which has another name while the guest comes from elsewhere. The files need not be there yet. Fails if there
# is no such line in four minutes, or as many seconds as are named, and shows what there is.
limit=240
if [ "$1" = -t ]; then
    limit=$2
    shift 2
fi
pattern=$1
shift
[ $# -gt 0 ] || set -- "/var/log/xen/guest-$GUEST.log" "/var/log/xen/guest-$GUEST--incoming.log"
# Whoever writes to a file wakes it: to look again and again would take processor time from what is waited for. A file
# that comes later may be written to before `tail` watches it.
for file; do : >>"$file"; done
timeout "$limit" tail -q -n +1 -F "$@" 2>/dev/null | grep -q -e "$pattern" && exit
echo "it never said: $pattern"
tail -n 30 "$@" 2>/dev/null
exit 1
