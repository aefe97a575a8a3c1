# SPDX-License-Identifier: MIT OR Apache-2.0
# Xen's trace of what is measured: what enters it, its events, and who runs when.
trace() {
    rm -f "$1"
    xentrace -D -S 256 -e 0x0ffff000 "$1" >/dev/null 2>&1 &
    tracer=$!
}
# Waits until there is something in the trace, for five seconds at most.
traces() {
    i=0
    until [ -s "$1" ] || [ $i -ge 50 ]; do
        sleep 0.1
        i=$((i + 1))
    done
}
# Begins a trace, and goes on once it is written.
traced() {
    trace "$1"
    traces "$1"
}
trace_end() {
    kill -INT $tracer
    wait $tracer
}
summarize() {
    xenalyze -s "$1" 2>/dev/null
    rm "$1"
}
