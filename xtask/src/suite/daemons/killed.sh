# SPDX-License-Identifier: MIT OR Apache-2.0
# A server whose xenstored is killed serves on, and so it does when there is one that was never told of it.
log=/var/log/xen/guest-$1.log
serves() {
    curl -sS -m 30 -o /dev/null http://192.0.2.2/ && return
    echo "nothing is served $1"
    tail -n 30 $log
    exit 1
}
xl create -q /tmp/$1.cfg || exit 1
said ': ready' $log || exit 1
serves 'at first'
kill -KILL $(pidof xenstored)
for second in 1 2 3 4 5; do
    serves "without xenstored"
    sleep 3
done
xenstored || exit 1
xen-init-dom0
for second in 1 2 3; do
    serves "beside an xenstored that does not know the guest"
    sleep 3
done
! grep -i -e panic -e spins $log
