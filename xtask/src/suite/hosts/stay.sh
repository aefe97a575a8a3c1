# SPDX-License-Identifier: MIT OR Apache-2.0
# Guests that work are moved `times` times in the way that `how` names, and checkpointed. What others keep for them is
# what it was after two moves before these, and so is, for the server, what it has granted and what memory it uses: both
# while no client asks for anything.

console() {
    cat /var/log/xen/guest-$1.log /var/log/xen/guest-$1--incoming.log 2>/dev/null | tr -d '\r'
}
elsewhere() {
    $*
}
save_and_restore() {
    xl save $1 /tmp/$1.save && xl restore /tmp/$1.save && rm /tmp/$1.save
}
checkpoint() {
    xl save -c $1 /tmp/$1.save && rm /tmp/$1.save
}
migrate() {
    xl migrate -s '' $1 'xl migrate-receive'
}
# Has each guest moved in this way, which may be a function with its name as the argument.
move() {
    for guest in $server $mixer $store; do
        "$1" $guest >/tmp/moved 2>&1 || fail "$guest: $1 in round $round: $(cat /tmp/moved)"
    done
    echo "$(date +%T) round $round, $1: $(console $store | grep -c acknowledged) acknowledged"
}

# What xenstored and Xen keep for a guest.
kept() {
    domid=$(xl domid $1)
    xenstore-control quota $domid | sed -n 's/^\(nodes\|watches\) *: *\([0-9]*\).*/\2 \1/p'
    echo "$(lsevtchn $domid | wc -l) ports"
}
# What the server uses, which it tells when it is asked: KiB of memory, and pages that are granted.
used() {
    count=$(console $server | grep -c 'ports open')
    xl sysrq $server m
    i=0
    until [ "$(console $server | grep -c 'ports open')" -gt "$count" ]; do
        [ $i -lt 300 ] || fail 'the server does not say what it uses'
        sleep 1
        i=$((i + 1))
    done
    console $server | awk '
        $1 == "memory" && NF == 4 { memory = $3 }
        $2 == "grants:" { grants = $3 }
        END { print memory, grants }'
}
# Whether that is what it was: less than a page for each time that the guest was moved.
uses_no_more_than() {
    set -- $1 $2 $(used)
    echo "the server uses $3 KiB and has granted $4 pages; before, $1 KiB and $2 pages"
    [ $3 -le $(($1 + 4 * times - 4)) ] && [ $4 -le $(($2 + times / 2)) ] || fail 'something is not given back'
}
# Waits until what is kept for each guest is what it was.
keep_no_more() {
    for guest in $server $mixer $store; do
        before=$(cat /tmp/$guest.kept)
        i=0
        until now=$(kept $guest) && [ "$now" = "$before" ]; do
            [ $i -lt 300 ] || fail "kept for $guest: $now, before: $before"
            sleep 1
            i=$((i + 1))
        done
        echo "kept for $guest:" $now
    done
}

begin
begin_clients
for round in 1 2; do move $how; done
end_clients
sleep 20 # an idle connection lives for 15 seconds
for guest in $server $mixer $store; do kept $guest >/tmp/$guest.kept; done
used_before=$(used)
begin_clients
for round in $(seq $times); do move $how; done
move checkpoint
end_clients
keep_no_more
sleep 20
uses_no_more_than $used_before
end
