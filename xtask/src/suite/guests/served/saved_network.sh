# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest like the driver domain, and a Linux, are saved, restored and checkpointed while files are fetched from them.
rm -rf /tmp/site && mkdir /tmp/site && head -c 4000000 /dev/urandom >/tmp/site/large
tar -C /tmp/site -cf /tmp/site.tar large

# A download that is under way while these are done, and another one afterwards.
fetched_meanwhile() {
    address=$1
    shift
    curl -sS -m 500 --limit-rate 60k -o /tmp/slow http://$address/large &
    slow=$!
    until_it_holds '[ -s /tmp/slow ]' || return 1
    for how in "$@"; do
        $how || return 1
    done
    wait $slow && cmp /tmp/slow /tmp/site/large || { echo "the download broke off"; return 1; }
    rm /tmp/slow
    curl -sS -m 100 --retry 5 --retry-all-errors -o /tmp/fetched http://$address/large && cmp /tmp/fetched /tmp/site/large
}

write_front root=ramdisk '' "'mac=00:16:3e:00:00:02,backend=$GUEST'"
echo "ramdisk = '/tmp/site.tar'" >>/tmp/front.cfg
xl create -q /tmp/front.cfg || exit 1
said ': ready' || exit 2
fetched_meanwhile 192.0.2.2 save_and_restore checkpoint || { cat $log; xenstore-ls $served; exit 3; }
[ "$(grep -c 'the domain was restored' $log)" -eq 1 ] || exit 4
xl destroy front
nothing_is_served || exit 5

initramfs xen-netfront <<'END' || exit 6
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set eth0 up
ip addr add 192.0.2.60/24 dev eth0
echo "linux: ready"
nc -ll -p 7 -e cat
END
linux '' "'mac=00:16:3e:00:00:07,backend=$GUEST'" || exit 7
said 'linux: ready' || exit 8
# On one connection, what is sent comes back, again and again, until there is such a file.
rm -f /tmp/enough /tmp/back
python3 - <<'END' &
import os, socket, time
for _ in range(100):
    try:
        kept = socket.create_connection(("192.0.2.60", 7), 60)
        break
    except OSError:
        time.sleep(1)
kept.settimeout(300)
while not os.path.exists("/tmp/enough"):
    sent, back = os.urandom(20000), b""
    kept.sendall(sent)
    while len(back) < len(sent):
        part = kept.recv(65536)
        assert part, "the connection broke off"
        back += part
    assert back == sent, "something else came back"
    open("/tmp/back", "w").write(str(time.monotonic()))
    time.sleep(0.1)
END
client=$!
for how in save_and_restore checkpoint cannot_be_saved; do
    until_it_holds '[ -s /tmp/back ]' && $how && rm /tmp/back || { cat $log; xenstore-ls $served; exit 9; }
done
until_it_holds '[ -s /tmp/back ]' || exit 10
: >/tmp/enough
wait $client || exit 11
echo "linux goes on"
xl destroy front
nothing_is_served || exit 12
