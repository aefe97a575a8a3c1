# SPDX-License-Identifier: MIT OR Apache-2.0
# Destroys guests that write to a store, at random moments. Each next one has to find at least what its
# forerunner acknowledged. The test's own guest, which is paused meanwhile, checks the disk at the end.
xl destroy cut 2>/dev/null
disk=/tmp/kv.img
log=/var/log/xen/guest-cut.log
: >>$log
rm -f $disk
truncate -s 16M $disk
sed -e 's/^name.*/name = "cut"/' -e 's/^cmdline.*/cmdline = "disk=xvda check stress=100000"/' \
    "/tmp/$GUEST.cfg" >/tmp/cut.cfg
if grep -q '^firmware_override' /tmp/cut.cfg; then
    # Its words are in the image.
    sed -i 's|^firmware_override.*|firmware_override = "/tmp/cut.elf"|' /tmp/cut.cfg
    cp "/tmp/$GUEST.elf" /tmp/cut.elf
    place=$(grep -abo 'disk=xvda check' /tmp/cut.elf | head -n 1 | cut -d : -f 1)
    printf 'disk=xvda check stress=100000' | dd of=/tmp/cut.elf bs=1 seek="$place" conv=notrunc status=none
fi
echo "disk = [ '$disk,raw,xvda,rw' ]" >>/tmp/cut.cfg

last=0
for round in $(seq ${rounds:-4}); do
    before=$(wc -c <$log)
    said() { tail -c +$((before + 1)) $log | tr -d '\r'; }
    xl create -q /tmp/cut.cfg || exit 1
    i=0
    until said | grep -q found || [ $i -gt 1200 ]; do
        sleep 0.1
        i=$((i + 1))
    done
    random=$(od -An -N2 -tu2 /dev/urandom)
    sleep $((random % 2)).$(printf %03d $((random % 1000)))
    xl destroy cut
    sleep 0.2 # for the last of its words to reach the file
    found=$(said | sed -n 's/^found \([0-9]*\)$/\1/p')
    acknowledged=$(said | sed -n 's/^acknowledged \([0-9]*\)$/\1/p' | tail -n 1)
    echo "round $round: found $found, acknowledged ${acknowledged:-none}"
    [ -n "$found" ] && [ "$found" -ge "$last" ] || exit 2
    if said | grep -q damaged; then exit 3; fi
    last=${acknowledged:-$found}
done
[ "$last" -gt 0 ] || exit 4 # nothing was ever written
xl block-attach "$DOMID" format=raw,vdev=xvda,target=$disk && xl unpause "$DOMID" && echo "at least $last"
