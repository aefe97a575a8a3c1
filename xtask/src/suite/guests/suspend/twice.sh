# SPDX-License-Identifier: MIT OR Apache-2.0
# The guest is saved, and restored twice from the same file: each of the two draws a number then.
drawn() {
    sed -n "s/^time $time: random \([0-9a-f]*\).*/\1/p" /var/log/xen/guest-$GUEST.log | tail -n 1
}
said "ready to be suspended, time $time[^0-9]" && xl save $GUEST $image && xl restore $image || fail 'not restored'
said "time $time: random" || fail 'no number'
one=$(drawn)
xl destroy $GUEST && xl restore $image && rm $image || fail 'not restored a second time'
i=0
until [ "$(drawn)" != "$one" ]; do
    [ $i -lt 1200 ] || fail "both draw $one"
    sleep 0.1
    i=$((i + 1))
done
[ -n "$one" ] && echo "two of a kind drew $one and $(drawn)"
