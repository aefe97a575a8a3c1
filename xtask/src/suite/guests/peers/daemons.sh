# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest adds and tells, in rounds. It goes on when xenstored is replaced by a new one, which continues where the old
# one was, and when xenconsoled is by one that knows nothing; no line is missing.
sum=/local/domain/$DOMID/data/sum
rounds() {
    xenstore-read $sum 2>/dev/null || echo 0
}
fail() {
    echo "$*"
    tail -n 5 /var/log/xen/guest-$GUEST.log
    xl destroy $DOMID
    exit 1
}
goes_on() {
    end=$(($(rounds) + 5))
    i=0
    until [ "$(rounds)" -ge $end ]; do
        [ $i -lt 1200 ] || fail "$(rounds) rounds, and no more"
        sleep 0.1
        i=$((i + 1))
    done
}
goes_on
before=$(xenstore-control quota $DOMID | grep '^watches' | sed 's/(.*//')
for time in 1 2; do
    xenstore-control live-update /usr/lib/xen-4.20/bin/xenstored || fail 'no live update'
    goes_on
    tr '\0' ' ' </proc/$(pidof xenstored)/cmdline
    echo
done
[ "$(xenstore-control quota $DOMID | grep '^watches' | sed 's/(.*//')" = "$before" ] || fail 'watches are missing, or left'
echo 'xenstored was replaced'

kill $(pidof xenconsoled)
while pidof xenconsoled; do sleep 0.1; done
goes_on
xenconsoled --log=all --log-dir=/var/log/xen
last=$(rounds)
said "^round $last[^0-9]" || fail "round $last is not told of"
told=$(sed -n 's/^round \([0-9]*\).*/\1/p' /var/log/xen/guest-$GUEST.log | sort -un | sed -n "1,/^$last\$/p" | wc -l)
echo "$told of $last rounds were told of"
[ $told -eq $last ] || fail "lines are missing"
xenstore-write /local/domain/$DOMID/data/peer "" /local/domain/$DOMID/data/peer/enough 1
