# SPDX-License-Identifier: MIT OR Apache-2.0
# Sends a key, and waits until the guest has acknowledged it: the next one would replace it.
press() {
    xl sysrq $DOMID "$1" || return 1
    i=0
    while [ -n "$(xenstore-read /local/domain/$DOMID/control/sysrq 2>/dev/null)" ]; do
        [ $i -lt 1200 ] || { echo "the key $1 was never taken"; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
}
