# SPDX-License-Identifier: MIT OR Apache-2.0
# measure NAME COMMAND...: what a command beside the guest says, first by itself, and then while it is
# traced; and the trace.
measure() {
    echo "=== $1"
    shift
    "$@" || exit 1
    echo '--- traced'
    traced /tmp/traced
    "$@" || exit 1
    trace_end
    echo '--- trace'
    summarize /tmp/traced
}
