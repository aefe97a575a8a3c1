# SPDX-License-Identifier: MIT OR Apache-2.0
# Traces what lies between the marks on the guest's console, and answers each when that has begun, or ended.
answer() {
    echo >"$(xenstore-read /local/domain/$DOMID/console/tty)"
}
n=0
rm -f /tmp/bench* /tmp/lines
mkfifo /tmp/lines
tail -n +1 -f "/var/log/xen/guest-$GUEST.log" >/tmp/lines &
tail=$!
while read -r line; do
    case "$line" in
    'mark begin'*)
        n=$((n + 1))
        trace /tmp/bench$n
        traces /tmp/bench$n
        answer
        ;;
    'mark end'*)
        trace_end
        answer
        ;;
    'Test result'*) break ;;
    esac
done </tmp/lines
kill $tail
for file in /tmp/bench*; do
    echo '=== trace'
    summarize "$file"
done
