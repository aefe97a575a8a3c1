# SPDX-License-Identifier: MIT OR Apache-2.0
# What has vCPUs come and go, and waits for what the guest says of it. Of its name, as a restored guest has
# another number.
image=/tmp/$GUEST.save

told() {
    cat /var/log/xen/guest-$GUEST.log 2>/dev/null | grep -c "$1"
}

# Does something, which may say more, and waits until the guest has said `$1` once more.
says() (
    text=$1
    shift
    before=$(told "$text")
    "$@" || return 1
    i=0
    until [ $(told "$text") -gt $before ]; do
        [ $i -lt 1200 ] || { echo "after $*, it never said: $text"; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
)

# `xl` wants to be told that there may be more vCPUs than processors.
vcpus() {
    xl vcpu-set --ignore-host $GUEST $1
}

availability() {
    xenstore-write /local/domain/$(xl domid $GUEST)/cpu/$1/availability $2
}

# How many vCPUs Xen takes for offline: their state is "--p".
offline() {
    i=0
    until [ $(xl vcpu-list $GUEST | grep -c -e '--p') -eq $1 ]; do
        [ $i -lt 1200 ] || { xl vcpu-list $GUEST; echo "not $1 vCPUs are offline"; return 1; }
        sleep 0.1
        i=$((i + 1))
    done
}

save_and_restore() {
    xl save $GUEST $image && xl restore $image && rm $image
}
