# SPDX-License-Identifier: MIT OR Apache-2.0
# Guests that work migrate to the other host and back, five times in all.
here=198.51.100.1 there=198.51.100.2

# What a guest has said on both hosts.
console() {
    logs="/var/log/xen/guest-$1.log /var/log/xen/guest-$1--incoming.log"
    { cat $logs 2>/dev/null; /tmp/wire $there "cat $logs 2>/dev/null" </dev/null; } | tr -d '\r'
}
elsewhere() {
    /tmp/wire $there "$*" </dev/null
}

move() {
    if [ $(($round % 2)) -eq 1 ]; then
        xl migrate -s /tmp/wire $1 $there >/tmp/moved 2>&1 || fail "round $round: $(cat /tmp/moved)"
    else
        moved=$(/tmp/wire $there "xl migrate -s /tmp/wire $1 $here 2>&1 && echo moved" </dev/null)
        [ "${moved%moved}" != "$moved" ] || fail "round $round: $moved"
    fi
}

begin
begin_clients
for round in 1 2 3 4 5; do
    for guest in $server $mixer $store; do move $guest; done
    echo "$(date +%T) round $round: $(console $store | grep -c acknowledged) acknowledged"
done
end_clients
end
