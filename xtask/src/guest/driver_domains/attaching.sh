# SPDX-License-Identifier: MIT OR Apache-2.0
# Disks and interfaces that a script attaches to the guest are not dom0's to serve, but the driver domains': a file, or
# a disk of dom0's, goes to the storage domain first.
xl() {
    case "$1 ${2-}" in
    "block-attach $DOMID") command xl block-attach "$DOMID" "${3%target=*}backend=storage,target=$(of_storage "${3##*target=}")" ;;
    "network-attach $DOMID") command xl network-attach "$DOMID" "$3" backend=router ;;
    *) command xl "$@" ;;
    esac
}

# What the storage domain calls this.
of_storage() {
    case $1 in
    /dev/vd?) echo "xvd${1#/dev/vd}" ;;
    *) lend_to_storage "$1" ;;
    esac
}

lend_to_storage() {
    devices=/local/domain/$(command xl domid storage)/device/vbd
    number=8
    for letter in i j k l m n o p; do
        device=$devices/$((51712 + 16 * number))
        xenstore-exists $device || break
        number=$((number + 1))
    done
    command xl block-attach storage "format=raw,vdev=xvd$letter,target=$1" || return 1
    tries=0
    until [ "$(xenstore-read $device/state)" = 4 ]; do
        [ $tries -lt 1200 ] || return 1
        sleep 0.1
        tries=$((tries + 1))
    done
    echo "xvd$letter"
}
