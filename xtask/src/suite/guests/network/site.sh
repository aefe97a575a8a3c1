# SPDX-License-Identifier: MIT OR Apache-2.0
# What tests of sites on disks share: the guest gets the disk before it runs.
set -e
fetch() { curl -sS -m 120 "$@"; }
is() { [ "$1" = "$2" ] || { echo "it is '$1', not '$2'"; xl shutdown $DOMID; exit 1; }; }
start() {
    xl block-attach $DOMID format=raw,vdev=xvda,target=$1
    xl unpause $DOMID
    said 'httpd: ready'
}
