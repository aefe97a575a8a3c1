# SPDX-License-Identifier: MIT OR Apache-2.0
# Saves and restores the guest twice, the second time while it is traced. The time of a save is all of `xl save`, most
# of it the toolstack's; that of a restore is from letting the guest run until a client has its answer.
now() {
    cut -d ' ' -f 1 /proc/uptime
}
suspends() {
    begun=$(now)
    xl save $GUEST /tmp/saved >/tmp/save.log 2>&1 || { cat /tmp/save.log; exit 1; }
    echo "from $begun to $(now)" >/tmp/suspend.$1
}
resumes() {
    xl restore -p /tmp/saved >/tmp/restore.log 2>&1 || { cat /tmp/restore.log; exit 1; }
    rm /tmp/saved
    "$2" /tmp/traced
    begun=$(now)
    xl unpause $GUEST
    until curl -s -m 1 -o /dev/null http://192.0.2.2/; do :; done
    echo "from $begun to $(now)" >/tmp/resume.$1
}
curl -s -m 60 -o /dev/null http://192.0.2.2/ || exit 1
suspends alone
resumes alone true
traced /tmp/traced
suspends traced
trace_end
summarize /tmp/traced >/tmp/suspend.trace
resumes traced traced
trace_end
summarize /tmp/traced >/tmp/resume.trace
for what in suspend resume; do
    echo "=== $what"
    cat /tmp/$what.alone
    echo '--- traced'
    cat /tmp/$what.traced
    echo '--- trace'
    cat /tmp/$what.trace
done
