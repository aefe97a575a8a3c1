# SPDX-License-Identifier: MIT OR Apache-2.0
# A Linux that has its disk, or its interface, from the guest under test, which is all that is counted.
driver=$DOMID
served=/local/domain/$driver/backend
log=/var/log/xen/guest-front.log

# Starts it with these words for its kernel, this disk and this interface.
front() {
    xl destroy front 2>/dev/null
    rm -f $log
    {
        grep -E '^(type|tsc_mode) ' "/tmp/$GUEST.cfg"
        echo "name = 'front'"
        echo "memory = 256"
        echo "kernel = '/vmlinuz'"
        echo "ramdisk = '/tmp/linux-baseline.img'"
        echo "cmdline = 'console=hvc0 quiet $1'"
        echo "disk = [ $2 ]"
        echo "vif = [ $3 ]"
        echo "on_poweroff = 'preserve'"
        echo "on_crash = 'preserve'"
    } >/tmp/front.cfg
    xl create -q /tmp/front.cfg || exit 1
    # What hotplug scripts would tell Linux's drivers, which find the disk by its number.
    for device in $(xenstore-list $served/vbd/$(xl domid front) 2>/dev/null); do
        xenstore-write $served/vbd/$(xl domid front)/$device/physical-device ca:0
    done
    for device in $(xenstore-list $served/vif/$(xl domid front) 2>/dev/null); do
        is_bridged
        xenstore-write $served/vif/$(xl domid front)/$device/hotplug-status connected
    done
}

# Waits until it has written this, for 120 s at most.
said() {
    command said -t 120 "$1" $log || { xenstore-ls $served; exit 2; }
}

# Waits until a Linux has put the interface into its bridge, for 120 s at most.
is_bridged() {
    own=/var/log/xen/guest-$GUEST.log
    ! grep -q 'linux-baseline: ready' "$own" || command said -t 120 'linux-baseline: bridged' "$own"
}

# Of a trace, only what the guest under test did. xenalyze tells the hypercalls of one HVM domain only, the first that
# makes any: those for events are counted here.
summarize() {
    events=
    if ! grep -q '^type = "pv"' "/tmp/$GUEST.cfg"; then
        events=$(xenalyze --dump-all "$1" 2>/dev/null | grep -c " d${driver}v[0-9]* vmcall .*(evtchn_op)")
    fi
    xenalyze -s "$1" 2>/dev/null | awk -v domain=$driver -v events="$events" '
        events != "" && /\[ *evtchn_op\]/ { next }
        /^\|-- Domain / { keep = $3 == 0 || $3 == domain }
        keep
        events != "" && /^\|-- Domain / && $3 == domain { print "    [ evtchn_op] " events }'
    rm "$1"
}
