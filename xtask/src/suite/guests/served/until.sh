# SPDX-License-Identifier: MIT OR Apache-2.0
# Waits for this to hold, for two minutes at most.
until_it_holds() {
    i=0
    until eval "$1"; do
        [ $i -lt 1200 ] || { echo "it never held: $1"; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
}
