# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest that may have fewer event channels than it uses says so, and ends; the file is as good as before.
log=/var/log/xen/guest-poor.log
rm -f $log
xl save $GUEST $image || fail 'not saved'
restore_poorly name 'name = "poor"
max_event_channels = 8' || fail 'not restored'
i=0
until [ "$(xl list -v poor | awk 'END { print $8 }')" = 3 ]; do
    [ $i -lt 1200 ] || {
        cat $log
        xl destroy poor
        fail 'it has not ended by a crash'
    }
    sleep 0.1
    i=$((i + 1))
done
xl destroy poor
grep 'it may have fewer event channels than it uses' $log || fail "it does not say what is missing: $(cat $log)"
xl restore $image && rm $image || fail 'not restored a second time'
